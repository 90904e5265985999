# The API: its database login and the install's admin token.
path "database/creds/backend" {
  capabilities = ["read"]
}

path "secret/data/cloudx/api" {
  capabilities = ["read"]
}
