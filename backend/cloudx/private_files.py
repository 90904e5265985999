"""Files that hold secrets: written with mode 0600, and trusted only if no one else can have written them."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def write_private(file: Path, text: str) -> None:
    """Replace a file in one step, mode 0600; a symbolic link in its place is replaced, not followed."""
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as opened:
        opened.write(text)
    part.replace(file)


def why_untrusted(path: Path) -> str | None:
    """Say why others could decide what a folder or file holds, with the remedy; None if they cannot, or it is missing.

    A folder of root's with the sticky bit, such as /tmp, is fine: files that others put there do not belong to us,
    and are refused themselves.
    """
    try:
        link, found = path.lstat(), path.stat()
    except FileNotFoundError:
        return None
    kind = "folder" if stat.S_ISDIR(found.st_mode) else "file"
    is_sticky = kind == "folder" and bool(found.st_mode & stat.S_ISVTX)
    us = os.geteuid()
    if link.st_uid != us and not (is_sticky and link.st_uid == 0):
        remedy = f"Run `chown {us} {path}`, or use another."
        return f"The {kind} {path} belongs to user {link.st_uid}, not to you ({us}). {remedy}"
    if stat.S_ISLNK(link.st_mode) and kind == "file":
        return f"The file {path} is a symbolic link. Put the file itself there."
    if found.st_uid != us and not is_sticky:
        return f"The {kind} {path} leads to belongs to user {found.st_uid}, not to you ({us}). Use another."
    if found.st_mode & 0o022 and not is_sticky:
        return f"Others may write the {kind} {path}. Run `chmod go-w {path}`, and look whether its content is yours."
    return None
