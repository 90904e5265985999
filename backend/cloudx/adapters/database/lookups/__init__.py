"""Questions over all scans, which only read."""
