"""The ledger's repositories: one a kind of record."""
