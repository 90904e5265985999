# The Consul agent of the VPS NODE (`cloudx cluster admit` writes its name here). It registers that node, and takes away what is
# registered there and has ended. It registers no service: whoever does brings a token for it.
node "NODE" {
  policy = "write"
}

agent "NODE" {
  policy = "read"
}

# The agent compares what it has with the catalog, and would register again without end what it cannot see there.
service "cloudx-node" {
  policy = "read"
}
