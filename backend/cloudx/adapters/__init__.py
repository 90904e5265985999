"""Implementations of the services' ports; bootstrap alone imports them."""
