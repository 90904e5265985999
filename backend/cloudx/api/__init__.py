"""The HTTP API: a route parses a schema, calls one service and shows what it returned."""
