"""Events: read in order out of the ledger, once a process, for all who listen."""
