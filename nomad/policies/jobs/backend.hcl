# The API sees the clients' states (eligible, draining, down), by the workload identity of its job.
node {
  policy = "read"
}
