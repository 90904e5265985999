"""Fixtures that every folder may ask for, each module says what it needs; the order of tests, and what runs alone."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# A test never asserts a time: a busy machine stretches any of Hypothesis's examples over its 200 ms.
settings.register_profile("cloudx", deadline=None)
settings.load_profile("cloudx")

# Quick ones first, those that take the machine for themselves last; a folder that is not named comes last.
ORDER = ("unit", "integration", "contract", "security", "e2e", "image", "cluster")
SERVERS = {"consul", "new_consul", "nomad", "new_fabio"}  # fixtures of what is built from Go modules
# They take the machine's Docker daemon, the servers' own ports, the rig's names, and the processors.
MACHINE = ("image", "cluster")
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the folders in order; in each, modules that need a server come last, which may still be built meanwhile."""
    waiting = {item.path for item in items if SERVERS.intersection(getattr(item, "fixturenames", ()))}
    items.sort(key=lambda item: (_place(item.path), item.path in waiting))


def _place(path: Path) -> int:
    folder = path.relative_to(HERE).parts[0]
    return ORDER.index(folder) if folder in ORDER else len(ORDER)


def _group(path: Path) -> str:
    """The tests of a group run one after another: those of a module, or all that need the machine for themselves."""
    return "machine" if path.relative_to(HERE).parts[0] in MACHINE else str(path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out groups in order. Not by --dist loadgroup: with xdist 3.8 and pytest 9.2 it groups nothing, silently."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return _group(HERE.parent / nodeid.partition("::")[0])

    return ByGroup(config, log)


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
        "chromium",
        "redis",
        "cluster_servers",
        "fabio",
        "identities",
        "cluster",
        "fleet",
        "webhook_receiver",
    )
]
