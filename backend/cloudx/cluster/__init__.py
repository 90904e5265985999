"""What an operator does to a cluster: identities, rollouts, drains, status. It knows nothing of scans."""
