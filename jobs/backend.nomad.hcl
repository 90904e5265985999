# The API behind Fabio, on the control nodes. jobs/README.md tells what it needs and how to roll it out.

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
  description = "The Nomad node pool that runs it. Its tasks hold the install's secrets: never a pool of VPSes that scan."
  default     = "control"
}

variable "control_nodes" {
  type        = list(string)
  description = "The Nomad ids of the machines that may run it; [] trusts the pool, which each machine names itself."
  default     = []
}

variable "count" {
  type        = number
  description = "How many instances, spread over the control nodes. One is enough for a rollout without a lost request; two outlive a machine."
  default     = 2
}

variable "cpu" {
  type        = number
  description = "MHz for each instance."
  default     = 300
}

variable "memory" {
  type        = number
  description = "MB for each instance."
  default     = 512
}

variable "network_mode" {
  type        = string
  description = "host or bridge, for docker. On a bridge, 127.0.0.1 in the addresses below is the container itself."
  default     = "host"
}

variable "raw_sockets" {
  type        = bool
  description = "Give the API's containers NET_RAW. The API does not need it: the workers scan."
  default     = false
}

variable "database" {
  type        = string
  description = "HOST:PORT/NAME of PostgreSQL; the login comes from Vault. A query such as ?sslmode=verify-full may follow."
  default     = "127.0.0.1:5432/cloudx"
}

variable "nomad_addr" {
  type        = string
  description = "Nomad's address for the instances: states of the fleet, keys of workload identities, dispatches."
  default     = "http://127.0.0.1:4646"
}

variable "consul_addr" {
  type        = string
  description = "The Consul agent's address for the instances: the fleet's health."
  default     = "http://127.0.0.1:8500"
}

variable "healthy_deadline" {
  type        = string
  description = "How long a new instance may take until its checks pass; then Nomad reverts the rollout."
  default     = "90s"
}

variable "settings" {
  type        = map(string)
  description = "More settings of docs/operations.md, none of them secret, such as { CLOUDX_CORS_ORIGINS = \"https://…\" }."
  default     = {}
}

locals {
  is_docker = var.driver == "docker"
  # Docker's own keys are null for raw_exec, which refuses to start with them.
  capabilities = var.raw_sockets ? ["net_raw"] : []
  database_url = "postgresql://{{ .Data.username }}:{{ .Data.password | urlquery }}@${var.database}"
}

job "backend" {
  datacenters = var.datacenters
  node_pool   = var.node_pool
  type        = "service"

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
    canary            = 1
    auto_promote      = true
    auto_revert       = true
    health_check      = "checks"
    min_healthy_time  = "3s"
    healthy_deadline  = var.healthy_deadline
    progress_deadline = "0s" # the first instance that is not healthy in time ends the rollout
  }

  spread {
    attribute = "${node.unique.id}"
  }

  group "backend" {
    count          = var.count
    shutdown_delay = "6s" # Fabio drops an instance within a second, and does not retry a request elsewhere

    network {
      port "http" {} # dynamic, so that a canary fits beside the instance it replaces
    }

    restart {
      attempts = 5
      interval = "2m"
      delay    = "3s"
      mode     = "delay"
    }

    service {
      name = "cloudx-backend"
      port = "http"
      # A canary has the same urlprefix tag: it takes requests once its checks pass. With a tag of its own, Fabio would drop
      # the old instance at the promotion a moment before it knows the new one.
      # The other two tags are for people: Consul's page shows them beside an instance, which it names as Nomad does.
      tags = ["urlprefix-/", "version=${var.version}", "node=${node.unique.name}"]

      meta {
        version    = var.version
        node_id    = "${node.unique.id}"
        node       = "${node.unique.name}"
        allocation = "${NOMAD_ALLOC_ID}"
      }

      check {
        name     = "alive"
        type     = "http"
        path     = "/api/health"
        interval = "5s"
        timeout  = "3s"

        check_restart {
          limit = 6 # half a minute: the grace covers the first start alone, and a killed instance has to come back
          grace = "30s"
        }
      }

      check {
        name     = "ready"
        type     = "http"
        path     = "/api/ready"
        interval = "2s"
        timeout  = "8s" # longer than the database's connect timeout of 5 s, so that the check shows its reason
      }
    }

    task "migrate" {
      driver = var.driver

      lifecycle {
        hook = "prestart"
      }

      config {
        image           = local.is_docker ? var.image : null
        network_mode    = local.is_docker ? var.network_mode : null
        cap_drop        = local.is_docker ? ["all"] : null
        readonly_rootfs = local.is_docker ? true : null
        security_opt    = local.is_docker ? ["no-new-privileges"] : null
        auth_soft_fail  = local.is_docker ? true : null
        command         = local.is_docker ? "cloudx" : var.command
        args            = ["db", "upgrade"]
      }

      vault {
        role         = "cloudx-migrate"
        env          = false
        disable_file = true
        change_mode  = "noop"
      }

      template {
        destination = "${NOMAD_SECRETS_DIR}/database_url"
        data        = "{{ with secret \"database/creds/migrate\" }}${local.database_url}{{ end }}"
        change_mode = "noop"
        perms       = "0600"
      }

      env {
        DATABASE_URL_FILE = "${NOMAD_SECRETS_DIR}/database_url"
        CLOUDX_DATA_DIR   = "${NOMAD_TASK_DIR}/data"
        CLOUDX_LOG_FORMAT = "json"
      }

      resources {
        cpu    = 100
        memory = 256
      }
    }

    task "backend" {
      driver       = var.driver
      kill_signal  = "SIGTERM"
      kill_timeout = "30s" # gunicorn gives requests 25

      config {
        image           = local.is_docker ? var.image : null
        network_mode    = local.is_docker ? var.network_mode : null
        ports           = local.is_docker && var.network_mode != "host" ? ["http"] : null
        cap_drop        = local.is_docker ? ["all"] : null
        cap_add         = local.is_docker ? local.capabilities : null
        readonly_rootfs = local.is_docker ? true : null
        security_opt    = local.is_docker ? ["no-new-privileges"] : null
        auth_soft_fail  = local.is_docker ? true : null
        command         = local.is_docker ? "cloudx" : var.command
        args            = ["serve"]
      }

      # nomad/policies and consul/policies hold the rights of these two.
      identity {
        file = true
      }

      consul {}

      vault {
        role         = "cloudx-backend"
        env          = false
        disable_file = true
        change_mode  = "noop"
      }

      # The process itself notices that a file changed: no signal, no restart, no lost request.
      template {
        destination = "${NOMAD_SECRETS_DIR}/database_url"
        data        = "{{ with secret \"database/creds/backend\" }}${local.database_url}{{ end }}"
        change_mode = "noop"
        perms       = "0600"

        # Nomad's default wait of 5 s would come off the time in which both logins work.
        wait {
          min = "0s"
          max = "1s"
        }
      }

      template {
        destination = "${NOMAD_SECRETS_DIR}/admin_token"
        data        = "{{ with secret \"secret/data/cloudx/api\" }}{{ .Data.data.admin_token }}{{ end }}"
        change_mode = "noop"
        perms       = "0600"
      }

      # Nomad puts the task's Consul token into its environment too; the file is enough.
      template {
        destination = "${NOMAD_TASK_DIR}/blank.env"
        data        = "CONSUL_TOKEN=\nCONSUL_HTTP_TOKEN=\n"
        env         = true
        change_mode = "noop"
      }

      env = merge({
        PORT                    = "${NOMAD_PORT_http}"
        CLOUDX_BIND             = local.is_docker && var.network_mode != "host" ? "0.0.0.0" : "${NOMAD_IP_http}"
        CLOUDX_DATA_DIR         = "${NOMAD_TASK_DIR}/data"
        CLOUDX_VERSION          = var.version
        CLOUDX_LOG_FORMAT       = "json"
        DATABASE_URL_FILE       = "${NOMAD_SECRETS_DIR}/database_url"
        CLOUDX_ADMIN_TOKEN_FILE = "${NOMAD_SECRETS_DIR}/admin_token"
        CLOUDX_EXECUTOR         = "nomad" # it dispatches jobs/scan
        NODE_ID                 = "${node.unique.id}"
        NOMAD_ADDR              = var.nomad_addr
        NOMAD_TOKEN_FILE        = "${NOMAD_SECRETS_DIR}/nomad_token"
        CLOUDX_NOMAD_JWKS_URL   = "${var.nomad_addr}/.well-known/jwks.json"
        CONSUL_HTTP_ADDR        = var.consul_addr
        CONSUL_HTTP_TOKEN_FILE  = "${NOMAD_SECRETS_DIR}/consul_token"
      }, var.settings)

      resources {
        cpu    = var.cpu
        memory = var.memory
      }
    }
  }
}
