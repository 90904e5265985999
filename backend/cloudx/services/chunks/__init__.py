"""A chunk from claim to commit."""
