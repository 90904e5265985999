# The API sees the clients' states (eligible, draining, down), by the workload identity of its job.
node {
  policy = "read"
}

# It starts scan workers (dispatch-job takes only parameterized jobs, and jobs/scan is the only one), sees how they do, and
# ends them (deregister-job). It cannot submit, change, purge or scale a job, nor enter an allocation or read its files.
# Nomad has no rights by job: deregister-job could end any job of this namespace. docs/security.md says how to narrow it.
namespace "default" {
  capabilities = ["list-jobs", "read-job", "dispatch-job", "deregister-job"]
}
