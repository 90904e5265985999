# A scan worker: a login that claims and completes chunks, and reads no token.
path "database/creds/worker" {
  capabilities = ["read"]
}
