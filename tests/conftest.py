"""Fixtures that every folder may ask for; each module says what it needs."""

from pathlib import Path

pytest_plugins = [
    f"fixtures.{name}"
    for name in ("postgres", "network", "service", "api", "gunicorn", "cluster_servers", "identities", "cluster", "fleet")
    if (Path(__file__).parent / "fixtures" / f"{name}.py").exists()
]
