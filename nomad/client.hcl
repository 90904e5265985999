# A Nomad client, on every VPS. Files beside it, mode 0600, hold what differs: tokens.hcl (consul { token }, its own: `cloudx cluster
# admit NAME`), tls.hcl, and addresses (bind_addr, client { network_interface, server_join }, vault { address }).
# A control node, which runs the API, Fabio or PostgreSQL, takes control.hcl too.
data_dir = "/var/lib/nomad"

client {
  enabled = true

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

acl {
  enabled = true
}

# Anybody may read /v1/metrics, and Nomad signs identities for a client that knows an allocation's id (docs/security.md).
telemetry {
  publish_allocation_metrics = false
}

consul {
  address          = "127.0.0.1:8500"
  auto_advertise   = false
  client_auto_join = false # it is told the servers' addresses: a name in Consul may be taken over
}

vault {
  enabled               = true
  jwt_auth_backend_path = "jwt-nomad"
}

plugin "docker" {
  config {
    # Docker's default 13 and net_raw. The jobs drop all and add what they need.
    allow_caps = [
      "audit_write", "chown", "dac_override", "fowner", "fsetid", "kill", "mknod", "net_bind_service", "setfcap",
      "setgid", "setpcap", "setuid", "sys_chroot", "net_raw",
    ]
  }
}
