"""What an operator does to a cluster: identities, rollouts, drains, status. This room knows nothing of scans."""
