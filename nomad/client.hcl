# A Nomad client, on every VPS. Beside it, mode 0600: tokens.hcl (consul { token }), tls.hcl, and the VPS's own addresses
# (bind_addr, client { network_interface }, vault { address }).
data_dir = "/var/lib/nomad"

client {
  enabled = true

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

acl {
  enabled = true
}

consul {
  address = "127.0.0.1:8500"
}

vault {
  enabled               = true
  jwt_auth_backend_path = "jwt-nomad"
}

plugin "docker" {
  config {
    # Docker's own 13 and net_raw; the jobs drop all and take what they need.
    allow_caps = [
      "audit_write", "chown", "dac_override", "fowner", "fsetid", "kill", "mknod", "net_bind_service", "setfcap",
      "setgid", "setpcap", "setuid", "sys_chroot", "net_raw",
    ]
  }
}
