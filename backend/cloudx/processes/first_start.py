"""What the first start makes in the data folder: the admin token, and the file that the command line reads."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from cloudx.domain.errors import BadConfiguration
from cloudx.private_files import why_untrusted, write_private

TOKEN_FILE = "admin-token"  # noqa: S105 - a file's name
CLI_FILE = "cli.json"
_OURS = (TOKEN_FILE, CLI_FILE, "lock", "cloudx.db")


def require_private(data_folder: Path) -> None:
    """Refuse a data folder in which others could have put a token or a database. Raises BadConfiguration."""
    for path in (data_folder, *(data_folder / name for name in _OURS)):
        if reason := why_untrusted(path):
            raise BadConfiguration(f"CLOUDX_DATA_DIR: {reason}")


def ensure_admin_token(data_folder: Path) -> tuple[Path, bool]:
    """Return the file of the install's own admin token (mode 0600), and whether this call made it."""
    data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = data_folder.absolute() / TOKEN_FILE
    try:
        made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        file.chmod(0o600)
        return file, False
    with open(made, "w") as opened:
        opened.write(f"cx_{secrets.token_urlsafe(32)}\n")
    return file, True


def write_cli_file(data_folder: Path, url: str, token: str | None) -> None:
    """Leave the API's address and token for `cloudx` commands that use the same data folder."""
    write_private(data_folder / CLI_FILE, json.dumps({"url": url, "token": token}) + "\n")
