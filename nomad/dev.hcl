# `make dev`: one Nomad, server and client, on loopback, run with -dev -dev-vault.
# A second, private file under .dev/ holds its Consul token and its data folder.
bind_addr            = "127.0.0.1"
log_level            = "WARN"
disable_update_check = true

acl {
  enabled = true
}

telemetry {
  publish_allocation_metrics = false # as in client.hcl
}

# As in server.hcl and client.hcl. Not by -dev-consul, with which services would log in to Consul by identities of their own.
consul {
  auto_advertise = false

  task_identity {
    aud = ["consul.io"]
    ttl = "1h"
  }
}

client {
  no_host_uuid = false # the machine's own id: dev mode's random id would make a new node at each start

  options = {
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean" # they query a cloud that is not there
  }

  # Retry without end: an outage of Vault or Consul must not kill running tasks.
  template {
    vault_retry {
      attempts    = 0
      max_backoff = "10s" # by default a task that starts during the outage waits up to a minute after it
    }
    consul_retry {
      attempts = 0
    }
    nomad_retry {
      attempts = 0
    }
  }
}

plugin "raw_exec" {
  config {
    enabled = true
  }
}

plugin "docker" {
  config {
    # Docker's default 13 and net_raw. The jobs drop all and add what they need.
    allow_caps = [
      "audit_write", "chown", "dac_override", "fowner", "fsetid", "kill", "mknod", "net_bind_service", "setfcap",
      "setgid", "setpcap", "setuid", "sys_chroot", "net_raw",
    ]
    gc {
      image = false # by default Nomad removes a local image three minutes after its last task
    }
  }
}
