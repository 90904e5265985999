# The Nomad agent of the VPS NODE (`cloudx cluster admit` writes its name here). It registers the node agent's service, and no other:
# cloudx-backend is where Fabio sends bearer tokens. It sees no other service either: an instance's id names its allocation.
agent "NODE" {
  policy = "read"
}

node "NODE" {
  policy = "read"
}

service "cloudx-node" {
  policy = "write"
}
