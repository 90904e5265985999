# Beside client.hcl on a control node: it runs the API, Fabio and PostgreSQL, whose tasks hold secrets, and no scan.
client {
  node_pool = "control"
}
