"""The two streams: results go to standard output, remarks to standard error."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

CELL_LIMIT = 300  # a banner may be megabytes
FOLDED_WIDTH = 10
PIPED_WIDTH = 500  # a row of a table stays one line for grep


def visible(value: object, limit: int | None = CELL_LIMIT) -> str:
    """Make text of foreign origin harmless for a terminal: unprintable characters become escapes."""
    text = str(value)
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@cache
def out() -> Console:
    """The console of standard output."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)


@cache
def err() -> Console:
    """The console of standard error."""
    from rich.console import Console

    width = None if sys.stderr.isatty() else PIPED_WIDTH
    return Console(stderr=True, markup=False, highlight=False, emoji=False, width=width)


def say(message: str) -> None:
    """Print a remark to the person, on standard error."""
    err().print(visible(message, limit=None), soft_wrap=True)


def print_json(document: Any) -> None:
    """Print a document for programs, in ASCII, so that no byte of it can steer a terminal."""
    print(json.dumps(document, indent=2).replace("\x7f", "\\u007f"))  # noqa: T201 - standard output is the product


def table(*columns: str, right: tuple[str, ...] = (), folds: tuple[str, ...] = ()) -> Table:
    """Make an empty table; on a narrow terminal only the columns in `folds` wrap."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
    for name in columns:
        made.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=name not in folds,
            min_width=FOLDED_WIDTH if name in folds else None,
            overflow="fold",
        )
    return made
