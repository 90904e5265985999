# Fabio makes its routes from the healthy instances and changes nothing.
service_prefix "" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}

agent_prefix "" {
  policy = "read"
}

key_prefix "fabio/" {
  policy = "read"
}
