"""The tokens of a run, and PostgreSQL's password, which lives as long as its data."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass

from cloudx.private_files import write_private

from .layout import DATABASE, HOST, POSTGRES_PORT, DevFolder


@dataclass(frozen=True)
class DevSecrets:
    """Each administrator's token, Nomad's token for Consul, and PostgreSQL's password."""

    consul: str
    nomad: str
    vault: str
    nomad_in_consul: str
    postgres: str

    @property
    def database_admin_url(self) -> str:
        """The URL of PostgreSQL's superuser, without a database."""
        return f"postgresql://postgres:{self.postgres}@{HOST}:{POSTGRES_PORT}"


DATABASE_ADDRESS = f"{HOST}:{POSTGRES_PORT}/{DATABASE}"


def fresh_secrets(folder: DevFolder) -> DevSecrets:
    """Make new tokens for each run; PostgreSQL keeps its password, as it keeps its data."""
    file = folder.path / "postgres-password"
    if not file.exists():
        write_private(file, secrets.token_urlsafe(32))
    return DevSecrets(*_four_tokens(), postgres=file.read_text().strip())


def _four_tokens() -> tuple[str, str, str, str]:
    return str(uuid.uuid4()), str(uuid.uuid4()), str(uuid.uuid4()), str(uuid.uuid4())
