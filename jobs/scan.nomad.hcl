# The scan workers: the backend dispatches one for each VPS that a scan can use, with the scan's id. It claims that scan's
# chunks, scans, commits, and leaves when there is none left for it. Of all privileges it has NET_RAW alone.

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
  description = "The image, for docker. Its tag is not latest, or every start asks a registry."
  default     = "cloudx:dev"
}

variable "command" {
  type        = string
  description = "The path of cloudx on the VPS, for raw_exec."
  default     = "/opt/cloudx/.venv/bin/cloudx"
}

variable "version" {
  type        = string
  description = "What Consul's meta and /api/nodes call this version; another one is a rollout."
  default     = "dev"
}

variable "datacenters" {
  type        = list(string)
  description = "Where it may run."
  default     = ["*"]
}

variable "database" {
  type        = string
  description = "HOST:PORT/NAME of PostgreSQL; the login comes from Vault. A query such as ?sslmode=verify-full may follow."
  default     = "127.0.0.1:5432/cloudx"
}

variable "priority" {
  type        = number
  description = "Nomad's priority (1 to 100) for every scan worker, against other jobs. Which scan goes first is the scans' own priority."
  default     = 50
}

variable "rate_limit_pps" {
  type        = number
  description = "Packets per second that one VPS may send, all scans together."
  default     = 100000
}

variable "cpu" {
  type        = number
  description = "MHz for each worker."
  default     = 500
}

variable "memory" {
  type        = number
  description = "MB for each worker; what it takes itself and its scanners."
  default     = 512
}

locals {
  is_docker    = var.driver == "docker"
  database_url = "postgresql://{{ .Data.username }}:{{ .Data.password | urlquery }}@${var.database}"
}

job "scan" {
  datacenters = var.datacenters
  type        = "batch"
  priority    = var.priority

  parameterized {
    payload       = "forbidden"
    meta_required = ["scan_id"]
    meta_optional = ["dispatch"] # the token of the ledger's row, by which the backend knows its own again
  }

  group "scan" {
    # The scheduler looks at two machines at random for a batch job, at all of them where a spread is asked for.
    spread {
      attribute = "${node.unique.id}"
    }

    # One try: what is to be run again, and where, is the ledger's to say.
    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    # A VPS that Nomad has lost may well go on scanning: it keeps its chunks as long as it renews their leases.
    disconnect {
      lost_after = "1h"
      replace    = false
    }

    task "scan" {
      driver       = var.driver
      kill_signal  = "SIGINT"
      kill_timeout = "20s" # it gives its chunks back within 8

      config {
        image          = local.is_docker ? var.image : null
        network_mode   = local.is_docker ? "host" : null # a bridge's interface has offloads on, which cost replies
        cap_drop       = local.is_docker ? ["all"] : null
        cap_add        = local.is_docker ? ["net_raw"] : null
        auth_soft_fail = local.is_docker ? true : null
        command        = local.is_docker ? "cloudx" : var.command
        args           = ["worker", "--scan", "${NOMAD_META_scan_id}"]
      }

      vault {
        role         = "cloudx-scan"
        env          = false
        disable_file = true
        change_mode  = "noop"
      }

      # The process sees for itself that the file changed; a scan that is under way goes on.
      template {
        destination = "${NOMAD_SECRETS_DIR}/database_url"
        data        = "{{ with secret \"database/creds/worker\" }}${local.database_url}{{ end }}"
        change_mode = "noop"
        perms       = "0600"

        # At once: Nomad's own 5 s would come off the time in which both logins are good.
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
