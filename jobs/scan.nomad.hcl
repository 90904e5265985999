# The scan workers. The backend dispatches one for each VPS that a scan can use, with the scan's id. A worker claims that
# scan's chunks, runs them, commits, and exits when no chunk is left for it. NET_RAW is its only privilege.

variable "driver" {
  type        = string
  description = "docker (the image) or raw_exec (a cloudx installed on the VPS)."
  default     = "docker"

  validation {
    condition     = contains(["docker", "raw_exec"], var.driver)
    error_message = "The driver is docker or raw_exec."
  }
}

variable "image" {
  type        = string
  description = "The image, for docker. With the tag latest every start would ask a registry."
  default     = "cloudx:dev"
}

variable "command" {
  type        = string
  description = "The path of cloudx on the VPS, for raw_exec."
  default     = "/opt/cloudx/.venv/bin/cloudx"
}

variable "version" {
  type        = string
  description = "The name of this version in Consul's meta and /api/nodes; a new name makes a rollout."
  default     = "dev"
}

variable "datacenters" {
  type        = list(string)
  description = "The datacenters it may run in."
  default     = ["*"]
}

variable "node_pool" {
  type        = string
  description = "The Nomad node pool whose machines it may run on: those that scan."
  default     = "default"
}

variable "database" {
  type        = string
  description = "HOST:PORT/NAME of PostgreSQL; the login comes from Vault. A query such as ?sslmode=verify-full may follow."
  default     = "127.0.0.1:5432/cloudx"
}

variable "priority" {
  type        = number
  description = "Nomad's priority (1 to 100) of all scan workers against other jobs. Among scans, each scan's own priority counts."
  default     = 50
}

variable "rate_limit_pps" {
  type        = number
  description = "The most packets per second that one VPS sends, all scans together."
  default     = 100000
}

variable "cpu" {
  type        = number
  description = "MHz for each worker."
  default     = 500
}

variable "memory" {
  type        = number
  description = "MB for each worker and its scanners."
  default     = 512
}

locals {
  is_docker    = var.driver == "docker"
  database_url = "postgresql://{{ .Data.username }}:{{ .Data.password | urlquery }}@${var.database}"
}

job "scan" {
  datacenters = var.datacenters
  node_pool   = var.node_pool
  type        = "batch"
  priority    = var.priority

  parameterized {
    payload       = "forbidden"
    meta_required = ["scan_id"]
    meta_optional = ["dispatch"] # the token of the ledger's row, by which the backend finds the row of a job
  }

  group "scan" {
    # For a batch job the scheduler compares two random machines; with a spread it compares all.
    spread {
      attribute = "${node.unique.id}"
    }

    # One try: the ledger decides what runs again, and where.
    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    # A VPS that Nomad has lost may go on scanning: it keeps its chunks as long as it renews their leases.
    disconnect {
      lost_after = "1h"
      replace    = false
    }

    task "scan" {
      driver       = var.driver
      kill_signal  = "SIGINT"
      kill_timeout = "20s" # the worker gives its chunks back within 8 s

      config {
        image           = local.is_docker ? var.image : null
        network_mode    = local.is_docker ? "host" : null # an interface on a bridge has offloads on, which cost replies
        cap_drop        = local.is_docker ? ["all"] : null
        cap_add         = local.is_docker ? ["net_raw"] : null
        readonly_rootfs = local.is_docker ? true : null
        security_opt    = local.is_docker ? ["no-new-privileges"] : null
        auth_soft_fail  = local.is_docker ? true : null
        command         = local.is_docker ? "cloudx" : var.command
        args            = ["worker", "--scan", "${NOMAD_META_scan_id}"]
      }

      vault {
        role         = "cloudx-scan"
        env          = false
        disable_file = true
        change_mode  = "noop"
      }

      # The process itself notices that the file changed; runs under way go on.
      template {
        destination = "${NOMAD_SECRETS_DIR}/database_url"
        data        = "{{ with secret \"database/creds/worker\" }}${local.database_url}{{ end }}"
        change_mode = "noop"
        perms       = "0600"

        # Nomad's default wait of 5 s would come off the time in which both logins work.
        wait {
          min = "0s"
          max = "1s"
        }
      }

      env {
        NODE_ID                    = "${node.unique.id}"
        DATABASE_URL_FILE          = "${NOMAD_SECRETS_DIR}/database_url"
        CLOUDX_EXECUTOR            = "nomad" # the node agent reports the machine; this task only scans
        CLOUDX_NODE_RATE_LIMIT_PPS = var.rate_limit_pps
        CLOUDX_DATA_DIR            = "${NOMAD_TASK_DIR}/data"
        CLOUDX_VERSION             = var.version
        CLOUDX_LOG_FORMAT          = "json"
      }

      resources {
        cpu    = var.cpu
        memory = var.memory
      }
    }
  }
}
