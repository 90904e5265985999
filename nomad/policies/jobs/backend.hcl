# The API, by the workload identity of its job, reads the clients' states (eligible, draining, down).
node {
  policy = "read"
}

# It starts scan workers (dispatch-job takes only parameterized jobs, and jobs/scan is the only one), reads their state, and
# ends them (deregister-job). It cannot submit, change, purge or scale a job, enter an allocation, or read its files.
# Nomad has no rights for a single job: deregister-job could end any job of this namespace. docs/security.md narrows it.
namespace "default" {
  capabilities = ["list-jobs", "read-job", "dispatch-job", "deregister-job"]
}
