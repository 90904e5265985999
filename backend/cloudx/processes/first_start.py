"""What the first start makes in the data folder: the admin token, and the file that the command line reads."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from cloudx.domain.errors import BadConfiguration
from cloudx.private_files import create_private, why_file_untrusted, why_folder_untrusted, write_private

TOKEN_FILE = "admin-token"  # noqa: S105 - a file's name
CLI_FILE = "cli.json"
# SQLite reads a journal beside a database as part of it.
_OURS = (TOKEN_FILE, CLI_FILE, "lock", "cloudx.db", "cloudx.db-wal", "cloudx.db-shm", "cloudx.db-journal")


def require_private(data_folder: Path) -> None:
    """Refuse a data folder in which others could have put a token or a database. Raises BadConfiguration."""
    reasons = (why_file_untrusted(data_folder / name) for name in _OURS)
    if reason := why_folder_untrusted(data_folder) or next(filter(None, reasons), None):
        raise BadConfiguration(f"CLOUDX_DATA_DIR: {reason}")


def ensure_admin_token(data_folder: Path) -> tuple[Path, bool]:
    """Return the file of the install's own admin token (mode 0600), and whether this call made it."""
    data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = data_folder.absolute() / TOKEN_FILE
    if create_private(file, f"cx_{secrets.token_urlsafe(32)}\n"):
        return file, True
    file.chmod(0o600)
    return file, False


def write_cli_file(data_folder: Path, url: str, token: str | None) -> None:
    """Leave the API's address and token for `cloudx` commands that use the same data folder."""
    write_private(data_folder / CLI_FILE, json.dumps({"url": url, "token": token}) + "\n")
