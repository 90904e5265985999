"""Add and remove named lists of targets; every change is audited."""

from __future__ import annotations

from cloudx.domain.access import Principal
from cloudx.domain.errors import Conflict, InvalidInput, NotFound
from cloudx.domain.targets import parse_targets
from cloudx.services.ledger.ids import new_id
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.ledger.lists import TargetList


def add_list(open_ledger: OpenLedger, principal: Principal, *, name: str, targets: tuple[str, ...]) -> TargetList:
    """Keep targets under a name; a list allows nothing, scopes do when it is scanned.

    Raises InvalidInput, or Conflict where the name is used.
    """
    if not parse_targets(targets, "targets"):
        raise InvalidInput("targets", "No target given. Name at least one address, CIDR, range or host name.")
    with open_ledger() as ledger:
        if ledger.lists.named(name) is not None:
            raise Conflict(f"There is a list {name!r} already. Remove it first, or take another name.")
        made = TargetList(new_id(), name, targets, ledger.now(), principal.name)
        ledger.lists.add(made)
        ledger.audit.record(principal, "list.add", made.id, name=name, targets=list(targets))
        ledger.commit()
        return made


def delete_list(open_ledger: OpenLedger, principal: Principal, list_id: str) -> None:
    """Forget one; scans that were made of it go on. Raises NotFound."""
    with open_ledger() as ledger:
        if not ledger.lists.delete(list_id):
            raise NotFound(f"There is no list {list_id[:64]!r}. `cloudx lists list` shows them.")
        ledger.audit.record(principal, "list.delete", list_id)
        ledger.commit()
