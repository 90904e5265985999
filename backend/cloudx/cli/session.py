"""A command's session with the API, and the options that commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cloudx.config import load_settings

if TYPE_CHECKING:
    from .api_client import ApiClient

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
ScanIdArgument = Annotated[str, typer.Argument(metavar="ID", help="The scan's id, or the word: last.")]


@contextmanager
def api_session() -> Iterator[ApiClient]:
    """Open a session with the API that the environment or the data folder names; close it at the end."""
    from .api_client import ApiClient
    from .connection import find_connection

    api = ApiClient(find_connection(load_settings()))
    try:
        yield api
    finally:
        api.close()
