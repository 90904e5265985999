"""Consul, Nomad, Vault and PostgreSQL, as an operator sets them up."""
