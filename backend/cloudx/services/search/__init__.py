"""The search over all scans: takes in what they found, and answers what is open now."""
