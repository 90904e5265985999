# A Consul client, on every VPS. Beside it, mode 0600: tokens.hcl (acl { tokens { agent, default } }), encrypt.hcl, and the
# VPS's own addresses (bind_addr, retry_join).
server      = false
data_dir    = "/var/lib/consul"
client_addr = "127.0.0.1"

acl {
  enabled        = true
  default_policy = "deny"
  down_policy    = "extend-cache" # an outage of the servers ends nobody's access
}

leave_on_terminate = false # a reboot is no departure: its services come back as they were

# What a failing check says reaches the catalog, and so people, this soon; by default only after five minutes.
check_update_interval = "5s"
