"""The receivers of webhooks, by HTTP."""
