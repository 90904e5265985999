# The migration before a new version starts: a login that may change the schema.
path "database/creds/migrate" {
  capabilities = ["read"]
}
