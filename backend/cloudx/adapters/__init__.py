"""Implementations of the services' ports; bootstrap.py alone imports them."""
