"""Fixtures that every folder may ask for; each module says what it needs."""

pytest_plugins = ["fixtures.postgres", "fixtures.network", "fixtures.service"]
