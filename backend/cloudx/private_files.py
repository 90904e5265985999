"""Files that hold secrets: written with mode 0600, and trusted only if no one else can have written them."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def write_private(file: Path, text: str) -> None:
    """Replace a file in one step, mode 0600; a symbolic link in its place is replaced, not followed."""
    _written_beside(file, text).replace(file)


def create_private(file: Path, text: str) -> bool:
    """Make a file in one step, mode 0600; False where something of that name exists, which stays as it is."""
    part = _written_beside(file, text)
    try:
        os.link(part, file)  # unlike a rename, it fails where there is one
        return True
    except FileExistsError:
        return False
    finally:
        part.unlink()


def why_folder_untrusted(folder: Path) -> str | None:
    """Say why others could decide what a folder holds, with the remedy; None if they cannot, or it is missing.

    A folder of root's with the sticky bit, such as /tmp, is fine: files that others put there do not belong to us,
    and `why_file_untrusted` refuses them.
    """
    found = _status(folder)
    if found is None:
        return None
    if not stat.S_ISDIR(found.st_mode):
        return f"{folder} is {_kind(found)}. Name a folder, not what leads to it or lies in its place."
    is_sticky = bool(found.st_mode & stat.S_ISVTX)
    if is_sticky and found.st_uid == 0:
        return None
    return _why_open("folder", folder, found, may_be_shared=is_sticky)


def why_file_untrusted(file: Path) -> str | None:
    """Say why others could decide what a file holds, with the remedy; None if they cannot, or it is missing."""
    found = _status(file)
    if found is None:
        return None
    if not stat.S_ISREG(found.st_mode):
        return f"{file} is {_kind(found)}. Remove it, or put the file itself there."
    return _why_open("file", file, found, may_be_shared=False)


def _written_beside(file: Path, text: str) -> Path:
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as opened:
        opened.write(text)
    return part


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _kind(found: os.stat_result) -> str:
    if stat.S_ISLNK(found.st_mode):
        return "a symbolic link"
    if stat.S_ISDIR(found.st_mode):
        return "a folder"
    return "a file" if stat.S_ISREG(found.st_mode) else "a device or a pipe"


def _why_open(kind: str, path: Path, found: os.stat_result, may_be_shared: bool) -> str | None:
    us = os.geteuid()
    if found.st_uid != us:
        remedy = f"Run `chown {us} {path}`, or use another."
        return f"The {kind} {path} belongs to user {found.st_uid}, not to you ({us}). {remedy}"
    if found.st_mode & 0o022 and not may_be_shared:
        return f"Others may write the {kind} {path}. Run `chmod go-w {path}`, and look whether its content is yours."
    return None
