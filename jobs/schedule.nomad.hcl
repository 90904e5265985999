# A second pair of hands for schedules. The API's instances serve ticks by themselves; each minute this job does what they do, once,
# straight on the database, so that a tick is served while none of them lives. Both may: a tick submits one scan.

variable "driver" {
  type        = string
  description = "docker (the image) or raw_exec (a cloudx installed on the machine)."
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
  description = "The path of cloudx on the machine, for raw_exec."
  default     = "/opt/cloudx/.venv/bin/cloudx"
}

variable "version" {
  type        = string
  description = "The name of this version, in the job's meta."
  default     = "dev"
}

variable "datacenters" {
  type        = list(string)
  description = "The datacenters it may run in."
  default     = ["*"]
}

variable "node_pool" {
  type        = string
  description = "The Nomad node pool that runs it. Its task has the API's login: never a pool of VPSes that scan."
  default     = "control"
}

variable "control_nodes" {
  type        = list(string)
  description = "The Nomad ids of the machines that may run it; [] trusts the pool, which each machine names itself."
  default     = []
}

variable "database" {
  type        = string
  description = "HOST:PORT/NAME of PostgreSQL; the login comes from Vault. A query such as ?sslmode=verify-full may follow."
  default     = "127.0.0.1:5432/cloudx"
}

variable "crons" {
  type        = list(string)
  description = "When it looks, in UTC. Not when schedules are due: it serves what is due by then."
  default     = ["* * * * *"]
}

variable "cpu" {
  type        = number
  description = "MHz."
  default     = 100
}

variable "memory" {
  type        = number
  description = "MB; planning a /8 takes most of it."
  default     = 256
}

locals {
  is_docker    = var.driver == "docker"
  database_url = "postgresql://{{ .Data.username }}:{{ .Data.password | urlquery }}@${var.database}"
}

job "schedule" {
  datacenters = var.datacenters
  node_pool   = var.node_pool
  type        = "batch"

  meta {
    version = var.version
  }

  periodic {
    crons            = var.crons
    prohibit_overlap = true
    time_zone        = "UTC"
  }

  dynamic "constraint" {
    for_each = length(var.control_nodes) > 0 ? ["these"] : []
    content {
      attribute = "${node.unique.id}"
      operator  = "set_contains_any"
      value     = join(",", var.control_nodes)
    }
  }

  group "schedule" {
    # One try: the next minute is the next one.
    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    task "schedule" {
      driver       = var.driver
      kill_timeout = "10s" # what it was about to submit is not there, and due

      config {
        image           = local.is_docker ? var.image : null
        network_mode    = local.is_docker ? "host" : null
        cap_drop        = local.is_docker ? ["all"] : null
        readonly_rootfs = local.is_docker ? true : null
        security_opt    = local.is_docker ? ["no-new-privileges"] : null
        auth_soft_fail  = local.is_docker ? true : null
        command         = local.is_docker ? "cloudx" : var.command
        args            = ["schedules", "tick"]
      }

      vault {
        role         = "cloudx-schedule"
        env          = false
        disable_file = true
        change_mode  = "noop"
      }

      template {
        destination = "${NOMAD_SECRETS_DIR}/database_url"
        data        = "{{ with secret \"database/creds/backend\" }}${local.database_url}{{ end }}"
        change_mode = "noop"
        perms       = "0600"
      }

      env {
        DATABASE_URL_FILE = "${NOMAD_SECRETS_DIR}/database_url"
        CLOUDX_DATA_DIR   = "${NOMAD_TASK_DIR}/data"
        CLOUDX_EXECUTOR   = "nomad" # the API dispatches the workers of what it submits
        CLOUDX_VERSION    = var.version
        CLOUDX_LOG_FORMAT = "json"
      }

      resources {
        cpu    = var.cpu
        memory = var.memory
      }
    }
  }
}
