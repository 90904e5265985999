# A Nomad server (three of them, or one in a small fleet). Beside it, mode 0600: tokens.hcl (consul { token }), gossip.hcl
# (server { encrypt }), tls.hcl, and the machine's own addresses (bind_addr, advertise).
data_dir = "/var/lib/nomad"

server {
  enabled          = true
  bootstrap_expect = 3

  default_scheduler_config {
    scheduler_algorithm = "spread" # distinct_hosts does not separate sibling dispatches; this does
  }
}

acl {
  enabled = true
}

consul {
  address = "127.0.0.1:8500"

  service_identity {
    aud = ["consul.io"]
    ttl = "1h"
  }
  task_identity {
    aud = ["consul.io"]
    ttl = "1h"
  }
}

vault {
  enabled = true

  default_identity {
    aud = ["vault.io"]
    ttl = "1h"
  }
}
