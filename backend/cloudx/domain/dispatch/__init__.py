"""Scan workers under Nomad: states, demand and what to do next."""
