# What the Consul agent of a VPS may do by its own token: register itself and its health, and see who is there.
agent_prefix "" {
  policy = "write"
}

node_prefix "" {
  policy = "write"
}

service_prefix "" {
  policy = "read"
}
