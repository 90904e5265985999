# The API reads the health of the node agents and changes nothing.
service "cloudx-node" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}
