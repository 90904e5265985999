# The API reads the fleet's health and changes nothing.
service_prefix "cloudx-" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}
