"""What changed between two scans, as people read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from cloudx.cli.api_client import ApiClient
from cloudx.cli.scan_tables import names_of, port_of, service_of
from cloudx.cli.scan_text import is_over
from cloudx.terminal import out, say, table, visible

_STYLES = {"opened": "green", "closed": "red", "changed": "yellow", "not_observed": "dim"}
_ORDER = ("opened", "closed", "changed", "unchanged", "not_observed")


def print_diff(api: ApiClient, page: Mapping[str, Any]) -> None:
    """The first changes, how many there are of each kind, and how to get the rest."""
    if page["items"]:
        out().print(changes_table(page["items"]))
        out().print()
    out().print(summary_line(page["summary"]), soft_wrap=True)
    for which, scan_id in (("first", page["from"]), ("second", page["to"])):
        scan = api.get(f"/api/scans/{scan_id}")
        if not is_over(scan):
            say(f"The {which} scan is {scan['status']}: this is how they differ so far.")
    if page["summary"]["not_observed"]:
        say("Not observed: the second scan did not complete a probe of it, so nobody can tell whether it is closed.")
    if page["next_cursor"]:
        command = f"cloudx diff {page['from']} {page['to']} --format csv -o diff.csv"
        say(f"These are the first {len(page['items']):,}. All of them: {command}")


def summary_line(summary: Mapping[str, int]) -> str:
    """1 opened, 2 closed, 0 changed, 1,203 unchanged, 0 not observed."""
    return ", ".join(f"{summary[name]:,} {name.replace('_', ' ')}" for name in _ORDER)


def changes_table(items: Sequence[Mapping[str, Any]]) -> Table:
    """One row a change."""
    columns = ("CHANGE", "ADDRESS", "PORT", "BEFORE", "AFTER", "HOST NAME")
    shown = table(*columns, right=("PORT",), folds=("BEFORE", "AFTER", "HOST NAME"))
    for item in items:
        change = visible(item["change"])
        finding = item["after"] or item["before"]
        shown.add_row(
            Text(change.replace("_", " "), style=_STYLES.get(change, "")),
            visible(item["ip"]),
            port_of(finding),
            Text(_side(item["before"])),
            Text(_side(item["after"])),
            Text(names_of(finding)),
        )
    return shown


def _side(finding: dict[str, Any] | None) -> str:
    """The state with the service; a dash where the scan has no such finding."""
    return f"{visible(finding['state'])} {service_of(finding)}".rstrip() if finding else "-"
