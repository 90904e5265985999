"""Authentication, tokens, the audit trail, and what may be scanned."""
