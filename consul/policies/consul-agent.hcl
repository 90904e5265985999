# The token of a VPS's Consul agent: it registers the agent and its health, and reads the other nodes and services.
agent_prefix "" {
  policy = "write"
}

node_prefix "" {
  policy = "write"
}

service_prefix "" {
  policy = "read"
}
