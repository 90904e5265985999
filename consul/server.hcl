# A Consul server: three, or one in a small fleet. Files beside it, mode 0600, hold what differs:
# tokens.hcl (acl { tokens { initial_management, agent } }), encrypt.hcl (encrypt = "…"), and addresses (bind_addr, retry_join).
server           = true
bootstrap_expect = 3
data_dir         = "/var/lib/consul"
client_addr      = "127.0.0.1"

acl {
  enabled                  = true
  default_policy           = "deny"
  down_policy              = "extend-cache"
  enable_token_persistence = true
}

ui_config {
  enabled = true
}

connect {
  enabled = false
}
