# The token of a Nomad agent: it registers the agent and reads the other nodes and services.
# Tasks register their services by workload identity, but the agent removes them by this token. Without write an
# instance that has ended stays in Consul, and Fabio goes on sending it requests.
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
