"""The search over all scans: what was found taken in, and found again (ADR 0036)."""
