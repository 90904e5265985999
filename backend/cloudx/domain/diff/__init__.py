"""What changed between two scans, and what the second of them proves."""
