# The job that looks for due schedules: the API's database login, and not its admin token.
path "database/creds/backend" {
  capabilities = ["read"]
}
