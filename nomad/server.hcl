# A Nomad server: three, or one in a small fleet. Files beside it, mode 0600, hold what differs: tokens.hcl (consul { token }),
# gossip.hcl (server { encrypt }), tls.hcl, and the machine's addresses (bind_addr, advertise).
data_dir = "/var/lib/nomad"

server {
  enabled          = true
  bootstrap_expect = 3

  default_scheduler_config {
    scheduler_algorithm = "spread" # keeps sibling dispatches apart; distinct_hosts does not
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
