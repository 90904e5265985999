"""Scans of two stages: what the first finds open goes to the second as it is found."""
