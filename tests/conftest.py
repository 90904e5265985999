"""Fixtures that every folder may ask for, each module of them says what it needs; and the folders' order."""

from pathlib import Path

import pytest
from hypothesis import settings

# A test never asserts a time: a busy machine stretches any of Hypothesis's examples over its 200 ms.
settings.register_profile("cloudx", deadline=None)
settings.load_profile("cloudx")

# Quick ones first; a folder that is not named comes last.
ORDER = ("unit", "integration", "contract", "security", "image", "cluster")
SERVERS = {"consul", "new_consul", "nomad", "new_fabio"}  # fixtures of what is built from Go modules
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the folders in order; in each, modules that need a server come last, which may still be built meanwhile."""
    waiting = {item.path for item in items if SERVERS.intersection(getattr(item, "fixturenames", ()))}
    items.sort(key=lambda item: (_place(item.path), item.path in waiting))


def _place(path: Path) -> int:
    folder = path.relative_to(HERE).parts[0]
    return ORDER.index(folder) if folder in ORDER else len(ORDER)


pytest_plugins = [
    f"fixtures.servers.{name}"
    for name in (
        "postgres",
        "network",
        "name_server",
        "reverse_names",
        "service",
        "api",
        "gunicorn",
        "browser",
        "redis",
        "cluster_servers",
        "fabio",
        "identities",
        "cluster",
        "fleet",
    )
]
