"""What goes in and out, one module a resource: pydantic models of bodies and queries, and of answers for the docs."""
