"""Fixtures that every folder may ask for, each module says what it needs; the order of tests, and what runs alone."""

from pathlib import Path

import pytest
from hypothesis import settings

# A test never asserts a time: a busy machine stretches any of Hypothesis's examples over its 200 ms.
settings.register_profile("cloudx", deadline=None)
settings.load_profile("cloudx")

# Quick ones first; a folder that is not named comes last.
ORDER = ("unit", "integration", "contract", "security", "image", "cluster")
SERVERS = {"consul", "new_consul", "nomad", "new_fabio"}  # fixtures of what is built from Go modules
FLEETS = {"new_resident_fleet", "new_nomad_fleet"}  # one rig a machine
HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the folders in order; in each, modules that need a server come last, which may still be built meanwhile.

    Beside each other (`-n`), a module's tests stay together; so do those that need the machine's ports and names, which
    take longest and begin first.
    """
    fixtures: dict[Path, set[str]] = {}
    for item in items:
        fixtures.setdefault(item.path, set()).update(getattr(item, "fixturenames", ()))
    items.sort(key=lambda item: (_place(item.path), bool(SERVERS & fixtures[item.path])))
    if hasattr(config, "workerinput"):
        groups = {path: _group(path, names) for path, names in fixtures.items()}
        for item in items:
            item.add_marker(pytest.mark.xdist_group(groups[item.path]))
        items.sort(key=lambda item: groups[item.path] not in ("rig", "machine"))


def _place(path: Path) -> int:
    folder = path.relative_to(HERE).parts[0]
    return ORDER.index(folder) if folder in ORDER else len(ORDER)


def _group(path: Path, fixtures: set[str]) -> str:
    """Tests of one group run one after another, in one process."""
    folder, name = path.relative_to(HERE).parts[0], path.name
    if FLEETS & fixtures or name == "test_rig.py":
        return "rig"
    if folder in ("image", "cluster"):
        return "machine"  # its Docker daemon, the servers' own ports
    return "servers" if SERVERS & fixtures else str(path)


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
