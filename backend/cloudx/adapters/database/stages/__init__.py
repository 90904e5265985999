"""The second stage of a scan in the database."""
