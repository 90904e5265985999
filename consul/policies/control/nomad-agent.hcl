# The Nomad agent of the control node NODE (`cloudx cluster admit --control` writes its name here). These agents alone register the API,
# Fabio and PostgreSQL: whoever may write cloudx-backend gets the requests of Fabio's callers, with their tokens.
agent "NODE" {
  policy = "read"
}

node "NODE" {
  policy = "read"
}

service "cloudx-backend" {
  policy = "write"
}

service "cloudx-postgres" {
  policy = "write"
}

service "fabio" {
  policy = "write"
}
