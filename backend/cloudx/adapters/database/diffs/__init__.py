"""The findings of two scans side by side."""
