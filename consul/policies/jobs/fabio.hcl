# Fabio makes its routes from the healthy instances and changes nothing. It routes by tag whatever service it can read, and one tag
# that does not parse stops its whole table: so it reads this service alone.
service "cloudx-backend" {
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
