# The API sees the clients' states (eligible, draining, down), by the workload identity of its job.
node {
  policy = "read"
}

# It asks on which machine an allocation runs, so that a node agent's identity speaks for its own machine alone.
namespace "default" {
  capabilities = ["read-job"]
}
