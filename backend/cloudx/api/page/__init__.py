"""The page at /: its files, and the cookie that it signs in with."""
