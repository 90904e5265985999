"""The command that compares two scans."""
