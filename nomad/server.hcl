# A Nomad server: three, or one in a small fleet. Files beside it, mode 0600, hold what differs: tokens.hcl (consul { token }),
# gossip.hcl (server { encrypt }), tls.hcl, and the machine's addresses (bind_addr, advertise).
data_dir = "/var/lib/nomad"

server {
  enabled          = true
  bootstrap_expect = 3

  # Each worker of a scan is a child of the job `scan`, and Nomad keeps a dead one for a day. An hour is enough to look at its
  # logs: what became of it is in the ledger.
  job_gc_threshold        = "1h"
  batch_eval_gc_threshold = "1h"

  default_scheduler_config {
    scheduler_algorithm = "spread" # keeps sibling dispatches apart; distinct_hosts does not
  }
}

acl {
  enabled = true
}

consul {
  address          = "127.0.0.1:8500"
  auto_advertise   = false # the agents are told the servers' addresses: a name in Consul may be taken over
  server_auto_join = false

  # No service_identity: agents register services by their own tokens, which say what their machine may run.
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
