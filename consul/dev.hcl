# `make dev`: one Consul with access control, on loopback. A second, private file under .dev/ holds its tokens.
bind_addr            = "127.0.0.1"
client_addr          = "127.0.0.1"
node_name            = "dev"
log_level            = "WARN"
disable_update_check = true

acl {
  enabled        = true
  default_policy = "deny"
}

ports {
  dns      = -1
  serf_wan = -1
}

# The output of a failing check reaches the catalog this soon; Consul's default is five minutes.
check_update_interval = "5s"
