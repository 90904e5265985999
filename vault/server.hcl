# A Vault server. The operator unseals it and provides the TLS files.
ui            = true
cluster_name  = "cloudx"
api_addr      = "https://127.0.0.1:8200"
cluster_addr  = "https://127.0.0.1:8201"
plugin_directory = "/var/lib/vault/plugins"

storage "raft" {
  path = "/var/lib/vault/data"
}

listener "tcp" {
  address       = "127.0.0.1:8200"
  tls_cert_file = "/etc/vault.d/tls/cert.pem"
  tls_key_file  = "/etc/vault.d/tls/key.pem"
}
