# `make dev`: one Consul with access control, on loopback. Its tokens come in a second, private file under .dev/.
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

# What a failing check says reaches the catalog, and so people, this soon; by default only after five minutes.
check_update_interval = "5s"
