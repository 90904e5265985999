"""Webhooks: what is sent to whom, how it is signed, when it is tried again, and where it may go."""
