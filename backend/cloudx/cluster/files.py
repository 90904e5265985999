"""The policies and roles that operators read and edit: consul/, nomad/ and vault/ of a checkout."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cloudx.domain.errors import BadConfiguration

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class ClusterFiles:
    """The files' contents. Each mapping is keyed by the file's name without its ending."""

    consul_agent_policies: dict[str, dict[str, str]]  # by kind of machine (vps, control)
    consul_job_policies: dict[str, str]
    nomad_job_policies: dict[str, str]
    vault_policies: dict[str, str]
    vault_roles: dict[str, dict[str, Any]]
    vault_database: dict[str, dict[str, Any]]


def read_cluster_files(root: Path) -> ClusterFiles:
    """Read all of them. Raises BadConfiguration that names the file."""
    return ClusterFiles(
        consul_agent_policies={kind: _texts(root / "consul/policies" / kind) for kind in ("vps", "control")},
        consul_job_policies=_texts(root / "consul/policies/jobs"),
        nomad_job_policies=_texts(root / "nomad/policies/jobs"),
        vault_policies=_texts(root / "vault/policies"),
        vault_roles=_documents(root / "vault/roles"),
        vault_database=_documents(root / "vault/database"),
    )


def _texts(folder: Path) -> dict[str, str]:
    found = {file.stem: file.read_text() for file in sorted(folder.glob("*.hcl"))}
    return _at_least_one(folder, found)


def _documents(folder: Path) -> dict[str, dict[str, Any]]:
    return _at_least_one(folder, {file.stem: _document(file) for file in sorted(folder.glob("*.json"))})


def _document(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text())
    except ValueError as error:
        raise BadConfiguration(
            f"{file} is not JSON ({error}). Correct it, or take it back from the repository."
        ) from None
    if not isinstance(document, dict):
        raise BadConfiguration(f"{file} is not a JSON object. Correct it, or take it back from the repository.")
    return document


def _at_least_one(folder: Path, found: dict[str, _Found]) -> dict[str, _Found]:
    if not found:
        raise BadConfiguration(f"{folder} holds nothing. Run this in a checkout, or name one with --folder.")
    return found
