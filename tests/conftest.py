"""Fixtures that every folder may ask for; each module says what it needs."""

pytest_plugins = [
    f"fixtures.servers.{name}"
    for name in (
        "postgres",
        "network",
        "service",
        "api",
        "gunicorn",
        "redis",
        "cluster_servers",
        "identities",
        "cluster",
        "fleet",
    )
]
