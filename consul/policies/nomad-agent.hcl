# What a Nomad agent may do by its own token: register itself and see who is there.
# The services of its tasks are registered by their workload identities, but taken away by this token: without write
# an instance that has ended stays in Consul, and Fabio goes on sending it requests.
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

service_prefix "cloudx-" {
  policy = "write"
}

service "fabio" {
  policy = "write"
}
