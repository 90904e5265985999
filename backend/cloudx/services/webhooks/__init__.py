"""Webhooks: who is told what, and its delivery out of the outbox."""
