# jobs/postgres: the password of the superuser that its first start makes.
path "secret/data/cloudx/postgres" {
  capabilities = ["read"]
}
