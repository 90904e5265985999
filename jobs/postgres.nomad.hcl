# One PostgreSQL for a small fleet, on the VPS that has its volume. A larger fleet brings its own and does not run this job.

variable "driver" {
  type        = string
  description = "docker (the image) or raw_exec (a PostgreSQL installed on the VPS)."
  default     = "docker"

  validation {
    condition     = contains(["docker", "raw_exec"], var.driver)
    error_message = "The driver is docker or raw_exec."
  }
}

variable "image" {
  type        = string
  description = "PostgreSQL's image, for docker: one with Debian's paths, as the official ones have."
  default     = "postgres:15-bookworm"
}

variable "binaries" {
  type        = string
  description = "The folder of initdb and postgres, in the image or on the VPS."
  default     = "/usr/lib/postgresql/15/bin"
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
  description = "The Nomad node pool of the machine with the volume. Its task holds the superuser's password: never one that scans."
  default     = "control"
}

variable "control_nodes" {
  type        = list(string)
  description = "The Nomad ids of the machines that may run it; [] trusts the pool, which each machine names itself."
  default     = []
}

variable "volume" {
  type        = string
  description = "The host volume with the data; the job runs on the VPS that has it."
  default     = "cloudx-postgres"
}

variable "data" {
  type        = string
  description = "The folder of that volume on the VPS, for raw_exec, which mounts nothing."
  default     = "/var/lib/cloudx-postgres"
}

variable "port" {
  type        = number
  description = "The port it listens on, at the VPS's own address."
  default     = 5432
}

variable "cpu" {
  type        = number
  description = "MHz."
  default     = 500
}

variable "memory" {
  type        = number
  description = "MB."
  default     = 1024
}

locals {
  is_docker = var.driver == "docker"
}

job "postgres" {
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
    max_parallel      = 1 # the old instance leaves before the new one starts: both use one data folder
    health_check      = "checks"
    min_healthy_time  = "3s"
    healthy_deadline  = "2m"
    progress_deadline = "0s" # the first instance that is not healthy in time ends the rollout; the default is 10 minutes
  }

  group "postgres" {
    network {
      port "db" {
        static = var.port
      }
    }

    volume "data" {
      type   = "host"
      source = var.volume
    }

    restart {
      attempts = 5
      interval = "2m"
      delay    = "5s"
      mode     = "delay"
    }

    service {
      name = "cloudx-postgres"
      port = "db"

      meta {
        version = var.version
        node_id = "${node.unique.id}"
        node    = "${node.unique.name}"
      }

      check {
        name     = "alive"
        type     = "tcp"
        interval = "5s"
        timeout  = "3s"
      }
    }

    task "postgres" {
      driver       = var.driver
      kill_signal  = "SIGINT" # PostgreSQL's fast shutdown: it ends all sessions and writes everything to disk
      kill_timeout = "30s"

      config {
        image           = local.is_docker ? var.image : null
        network_mode    = local.is_docker ? "host" : null
        cap_drop        = local.is_docker ? ["all"] : null
        cap_add         = local.is_docker ? ["chown", "dac_override", "fowner", "setgid", "setuid"] : null
        readonly_rootfs = local.is_docker ? true : null
        security_opt    = local.is_docker ? ["no-new-privileges"] : null
        auth_soft_fail  = local.is_docker ? true : null
        entrypoint      = local.is_docker ? [] : null
        command         = "/bin/sh"
        args            = ["${NOMAD_TASK_DIR}/start"]
      }

      dynamic "volume_mount" {
        for_each = local.is_docker ? ["data"] : []
        content {
          volume      = volume_mount.value
          destination = "/var/lib/cloudx-postgres"
        }
      }

      vault {
        role         = "cloudx-postgres"
        env          = false
        disable_file = true
        change_mode  = "noop"
      }

      template {
        destination = "${NOMAD_SECRETS_DIR}/superuser_password"
        data        = "{{ with secret \"secret/data/cloudx/postgres\" }}{{ .Data.data.password }}{{ end }}"
        change_mode = "noop" # only the first start, which makes the data, reads it
        perms       = "0600"
      }

      template {
        destination = "${NOMAD_TASK_DIR}/start"
        change_mode = "noop"
        data        = <<-EOT
          set -eu
          as_postgres="setpriv --reuid=postgres --regid=postgres --init-groups --"
          data="$DATA/main" password="$DATA/password"
          cd "$DATA"
          if [ ! -s "$data/PG_VERSION" ]; then
            rm -rf "$data.part"
            install -d -m 0700 -o postgres -g postgres "$data.part"
            install -m 0400 -o postgres -g postgres "$NOMAD_SECRETS_DIR/superuser_password" "$password"
            $as_postgres "$BINARIES/initdb" -D "$data.part" -U postgres -E UTF8 --locale=C.UTF-8 \
              --auth=scram-sha-256 --data-checksums --pwfile="$password"
            echo "host all all all scram-sha-256" >> "$data.part/pg_hba.conf"
            mv "$data.part" "$data" # the data folder appears whole or not at all
          fi
          rm -f "$password"
          exec $as_postgres "$BINARIES/postgres" -D "$data" -p "$NOMAD_PORT_db" -c listen_addresses="$NOMAD_IP_db" \
            -c unix_socket_directories= -c password_encryption=scram-sha-256 -c max_connections=200
        EOT
      }

      env {
        DATA     = local.is_docker ? "/var/lib/cloudx-postgres" : var.data
        BINARIES = var.binaries
      }

      resources {
        cpu    = var.cpu
        memory = var.memory
      }
    }
  }
}
