# jobs/postgres: the password of the superuser it makes at its first start.
path "secret/data/cloudx/postgres" {
  capabilities = ["read"]
}
