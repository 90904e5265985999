# Fabio on each control node sends requests to the API's instances that are healthy in Consul.

variable "driver" {
  type        = string
  description = "docker (the image) or raw_exec (a fabio installed on the machine)."
  default     = "docker"

  validation {
    condition     = contains(["docker", "raw_exec"], var.driver)
    error_message = "The driver is docker or raw_exec."
  }
}

variable "image" {
  type        = string
  description = "Fabio's image, for docker."
  default     = "fabiolb/fabio:1.6.3"
}

variable "fabio_command" {
  type        = string
  description = "The path of fabio on the machine, for raw_exec; `scripts/find-servers fabio` prints it."
  default     = "/usr/local/bin/fabio"
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
  description = "The Nomad node pool that runs it. It sees every caller's token: never a pool of VPSes that scan."
  default     = "control"
}

variable "control_nodes" {
  type        = list(string)
  description = "The Nomad ids of the machines that may run it; [] trusts the pool, which each machine names itself."
  default     = []
}

variable "address" {
  type        = string
  description = "The address it listens on. 0.0.0.0 opens it to the network; put TLS in front, or give Fabio certificates by arguments."
  default     = "127.0.0.1"
}

variable "port" {
  type        = number
  description = "For the API's clients."
  default     = 9999
}

variable "page_port" {
  type        = number
  description = "For Fabio's own page and its health, on loopback."
  default     = 9998
}

variable "consul_addr" {
  type        = string
  description = "HOST:PORT of the machine's Consul agent."
  default     = "127.0.0.1:8500"
}

variable "arguments" {
  type        = list(string)
  description = "Further arguments, such as [\"-proxy.cs\", \"…\"] for certificates."
  default     = []
}

variable "cpu" {
  type        = number
  description = "MHz."
  default     = 200
}

variable "memory" {
  type        = number
  description = "MB."
  default     = 128
}

locals {
  is_docker = var.driver == "docker"
}

job "fabio" {
  datacenters = var.datacenters
  node_pool   = var.node_pool
  type        = "system"

  dynamic "constraint" {
    for_each = length(var.control_nodes) > 0 ? ["these"] : []
    content {
      attribute = "${node.unique.id}"
      operator  = "set_contains_any"
      value     = join(",", var.control_nodes)
    }
  }

  update {
    max_parallel      = 1
    health_check      = "checks"
    min_healthy_time  = "3s"
    healthy_deadline  = "60s"
    progress_deadline = "0s" # the first instance that is not healthy in time ends the rollout; the default is 10 minutes
  }

  group "fabio" {
    network {
      port "http" {
        static = var.port
      }

      port "page" {
        static = var.page_port
      }
    }

    restart {
      attempts = 5
      interval = "2m"
      delay    = "3s"
      mode     = "delay"
    }

    service {
      name = "fabio"
      port = "http"
      tags = ["version=${var.version}", "node=${node.unique.name}"]

      meta {
        version = var.version
        node_id = "${node.unique.id}"
        node    = "${node.unique.name}"
      }

      check {
        name     = "alive"
        type     = "http"
        port     = "page"
        path     = "/health"
        interval = "5s"
        timeout  = "3s"
      }
    }

    task "fabio" {
      driver       = var.driver
      kill_signal  = "SIGTERM"
      kill_timeout = "15s" # -proxy.shutdownwait, and the requests under way

      config {
        image           = local.is_docker ? var.image : null
        network_mode    = local.is_docker ? "host" : null
        cap_drop        = local.is_docker ? ["all"] : null
        readonly_rootfs = local.is_docker ? true : null
        security_opt    = local.is_docker ? ["no-new-privileges"] : null
        auth_soft_fail  = local.is_docker ? true : null
        command         = local.is_docker ? "/usr/bin/fabio" : var.fabio_command
        args = concat([
          "-proxy.addr", "${var.address}:${var.port}",
          "-ui.addr", "127.0.0.1:${var.page_port}",
          "-ui.access", "ro",
          "-registry.consul.addr", var.consul_addr,
          "-registry.consul.register.enabled=false", # Nomad registers it
          "-registry.consul.checksRequired", "all",  # an instance with one failing check gets no requests
          "-registry.consul.kvpath", "/fabio/config",
          "-proxy.shutdownwait", "5s",
          "-proxy.keepalivetimeout", "15s",
          "-proxy.noroutestatus", "503",
          # An instance whose machine lost its power answers nothing. By default Fabio dials it for 30 s, and waits for the
          # answer to a request on a connection that was open already without end.
          "-proxy.dialtimeout", "1s",
          "-proxy.responseheadertimeout", "8s",
          "-log.level", "WARN", # at INFO Fabio first logs its configuration, the token included
        ], var.arguments)
      }

      consul {}

      # Consul's library reads the token from Nomad's file. Fabio's page shows its settings to anybody at /api/config, so they
      # must not hold the token, and Nomad's copies in the environment are blanked.
      env {
        CONSUL_HTTP_TOKEN_FILE = "${NOMAD_SECRETS_DIR}/consul_token"
      }

      template {
        destination = "${NOMAD_TASK_DIR}/blank.env"
        data        = "CONSUL_TOKEN=\nCONSUL_HTTP_TOKEN=\n"
        env         = true
        change_mode = "noop"
      }

      resources {
        cpu    = var.cpu
        memory = var.memory
      }
    }
  }
}
