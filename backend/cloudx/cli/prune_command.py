"""The command that removes what is too old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .scan_text import counted
from .session import JsonOption

if TYPE_CHECKING:
    from cloudx.services.scans.prune import Pruned


def prune(
    scans_older_than: Annotated[
        float | None, typer.Option(min=0, metavar="DAYS", help="Scans that have been over for longer.")
    ] = None,
    audit_older_than: Annotated[
        float | None, typer.Option(min=0, metavar="DAYS", help="Older entries of the audit trail.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove old scans with all they found, and old entries of the audit trail, straight from the database.

    Without ages, CLOUDX_KEEP_SCANS_DAYS and CLOUDX_KEEP_AUDIT_DAYS hold, by which a running API prunes by itself.

    Example: cloudx prune --scans-older-than 90 --audit-older-than 400 --dry-run
    """
    from cloudx.bootstrap.database import open_ledger_of, require_schema
    from cloudx.domain.errors import InvalidInput
    from cloudx.domain.retention import Retention
    from cloudx.processes.startup import read_settings
    from cloudx.services.scans.prune import PruneLedger

    settings = read_settings()
    given = Retention(scans_older_than, audit_older_than)
    retention = settings.retention if given.keeps_everything else given
    if retention.keeps_everything:
        raise InvalidInput("scans-older-than", "Say how old: --scans-older-than DAYS or --audit-older-than DAYS.")
    require_schema(settings)
    pruning = PruneLedger(open_ledger_of(settings), retention)
    _show(pruning.would_remove() if dry_run else pruning(), dry_run, as_json)


def _show(pruned: Pruned, is_dry: bool, as_json: bool) -> None:
    from cloudx.terminal import print_json, say

    if as_json:
        counts = {"scans": pruned.scans, "audit_entries": pruned.audit_entries, "dry_run": is_dry}
        print_json(counts if is_dry else counts | {"rows": pruned.rows})  # rows are counted as they go
    else:
        verb = "Would remove" if is_dry else "Removed"
        entries = "entry" if pruned.audit_entries == 1 else "entries"
        say(f"{verb} {counted(pruned.scans, 'scan')} and {pruned.audit_entries:,} audit {entries}.")
