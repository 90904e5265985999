# `make dev`: one Nomad, server and client, on loopback. Run with -dev -dev-consul -dev-vault;
# its Consul token and its data folder come in a second, private file under .dev/.
bind_addr            = "127.0.0.1"
log_level            = "WARN"
disable_update_check = true

acl {
  enabled = true
}

client {
  no_host_uuid = false # the machine's own id: in dev mode a random one would be a new node at every start

  options = {
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean" # they ask a cloud that is not there
  }

  # Without end: an outage of Vault or Consul must not kill running tasks.
  template {
    vault_retry {
      attempts    = 0
      max_backoff = "10s" # or a task that began during the outage waits up to a minute after it
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
    # Docker's own 13 and net_raw; the jobs drop all and take what they need.
    allow_caps = [
      "audit_write", "chown", "dac_override", "fowner", "fsetid", "kill", "mknod", "net_bind_service", "setfcap",
      "setgid", "setpcap", "setuid", "sys_chroot", "net_raw",
    ]
    gc {
      image = false # or a local image goes three minutes after its last task
    }
  }
}
