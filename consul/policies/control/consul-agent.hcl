# The Consul agent of the control node NODE (`cloudx cluster admit --control` writes its name here).
node "NODE" {
  policy = "write"
}

agent "NODE" {
  policy = "read"
}

service_prefix "cloudx-" {
  policy = "read"
}

service "fabio" {
  policy = "read"
}
