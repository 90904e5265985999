"""A scan as people submit, control and read it."""
