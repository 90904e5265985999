"""The HTTP API: a view parses a schema, calls one service and returns a schema."""
