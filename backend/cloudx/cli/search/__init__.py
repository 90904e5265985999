"""The command that searches what all scans found."""
