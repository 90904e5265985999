# A Consul client, on every VPS. Files beside it, mode 0600, hold what differs: tokens.hcl (acl { tokens { agent } }, its own:
# `cloudx cluster admit NAME`), encrypt.hcl, and the VPS's addresses (bind_addr, retry_join). No default token: that would be
# everybody's who reaches the agent.
server      = false
data_dir    = "/var/lib/consul"
client_addr = "127.0.0.1"

acl {
  enabled        = true
  default_policy = "deny"
  down_policy    = "extend-cache" # an outage of the servers takes no access away
}

leave_on_terminate = false # after a reboot the VPS's services come back as they were

# The output of a failing check reaches the catalog this soon; Consul's default is five minutes.
check_update_interval = "5s"
