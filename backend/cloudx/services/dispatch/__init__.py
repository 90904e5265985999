"""Keeps each scan's workers running under Nomad."""
