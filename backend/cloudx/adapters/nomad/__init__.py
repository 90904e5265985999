"""Nomad's clients, allocations and the scan workers it runs."""
