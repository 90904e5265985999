# What a Nomad agent may do by its own token: register itself and see who is there.
# The services of its tasks are registered with their workload identities, not with this.
agent_prefix "" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}

service_prefix "" {
  policy = "read"
}

service "nomad" {
  policy = "write"
}

service "nomad-client" {
  policy = "write"
}
