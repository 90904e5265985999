# The node agent, one on each VPS: registers it, sends its heartbeats, and shows in Consul what is wrong with it.

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
  description = "The Nomad node pool whose machines it runs on: those that scan."
  default     = "default"
}

variable "primary_url" {
  type        = string
  description = "The API's address for the VPSes: Fabio on a control node; by default this machine, as with make dev."
  default     = "http://127.0.0.1:9999"
}

variable "cpu" {
  type        = number
  description = "MHz."
  default     = 100
}

variable "memory" {
  type        = number
  description = "MB."
  default     = 128
}

locals {
  is_docker = var.driver == "docker"
  # The checks of the machine, as `cloudx agent --checks` names them. Each is a Consul check of its own.
  preflights = ["raw-socket", "offloads", "clock", "disk", "send-rate", "tool-nmap", "tool-masscan", "tool-zmap"]
}

job "node" {
  datacenters = var.datacenters
  node_pool   = var.node_pool
  type        = "system"

  update {
    max_parallel      = 1
    health_check      = "checks"
    min_healthy_time  = "3s"
    healthy_deadline  = "60s"
    progress_deadline = "0s" # the first instance that is not healthy in time ends the rollout; the default is 10 minutes
  }

  group "node" {
    network {
      port "checks" {}
    }

    restart {
      attempts = 5
      interval = "2m"
      delay    = "3s"
      mode     = "delay"
    }

    service {
      name = "cloudx-node"
      port = "checks"
      tags = ["version=${var.version}", "node=${node.unique.name}"]

      meta {
        version  = var.version
        node_id  = "${node.unique.id}"
        hostname = "${attr.unique.hostname}"
      }

      check {
        name     = "heartbeat"
        type     = "http"
        path     = "/checks/heartbeat"
        interval = "5s"
        timeout  = "5s"
      }

      dynamic "check" {
        for_each = local.preflights
        content {
          name      = check.value
          type      = "http"
          path      = "/checks/${check.value}"
          interval  = "10s"
          timeout   = "9s"     # the agent may have to start each scanner to read its version
          on_update = "ignore" # the check is about the machine, which a new agent does not change
        }
      }
    }

    task "node" {
      driver       = var.driver
      kill_signal  = "SIGTERM"
      kill_timeout = "10s"

      config {
        image           = local.is_docker ? var.image : null
        network_mode    = local.is_docker ? "host" : null # the checks read the machine's own interfaces
        cap_drop        = local.is_docker ? ["all"] : null
        cap_add         = local.is_docker ? ["net_raw"] : null
        readonly_rootfs = local.is_docker ? true : null
        security_opt    = local.is_docker ? ["no-new-privileges"] : null
        auth_soft_fail  = local.is_docker ? true : null
        command         = local.is_docker ? "cloudx" : var.command
        args            = ["agent", "--checks", "${NOMAD_ADDR_checks}"]
      }

      # The agent's credential at the API, in place of a token.
      identity {
        name = "cloudx"
        aud  = ["cloudx"]
        file = true
        ttl  = "1h"
      }

      env {
        NODE_ID                = "${node.unique.id}"
        PRIMARY_NODE_URL       = var.primary_url
        CLOUDX_NODE_TOKEN_FILE = "${NOMAD_SECRETS_DIR}/nomad_cloudx.jwt"
        CLOUDX_DATA_DIR        = "${NOMAD_TASK_DIR}/data"
        CLOUDX_VERSION         = var.version
        CLOUDX_LOG_FORMAT      = "json"
      }

      resources {
        cpu    = var.cpu
        memory = var.memory
      }
    }
  }
}
