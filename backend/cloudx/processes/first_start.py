"""What the first start of an install makes for itself, and leaves for the command line."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

TOKEN_FILE = "admin-token"  # noqa: S105 - a file's name
CLI_FILE = "cli.json"


def ensure_admin_token(data_folder: Path) -> tuple[Path, bool]:
    """The file with the install's own admin token, and whether it was made just now (mode 0600)."""
    data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = data_folder.absolute() / TOKEN_FILE
    try:
        _write_private(file, f"cx_{secrets.token_urlsafe(32)}\n", os.O_EXCL)
        return file, True
    except FileExistsError:
        return file, False


def write_cli_file(data_folder: Path, url: str, token: str | None) -> None:
    """Tell `cloudx` commands started in the same place where the API is and how to enter."""
    _write_private(data_folder / CLI_FILE, json.dumps({"url": url, "token": token}) + "\n", os.O_TRUNC)


def _write_private(file: Path, text: str, flag: int) -> None:
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | flag, 0o600), "w") as opened:
        opened.write(text)
