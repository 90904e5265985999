"""Name canaries and forget them; every change is audited."""

from __future__ import annotations

from cloudx.domain.access import Principal
from cloudx.domain.errors import InvalidInput, NotFound
from cloudx.domain.proof.canaries import Canary
from cloudx.domain.targets import parse_targets
from cloudx.services.ledger.ids import new_id
from cloudx.services.ledger.ledger import OpenLedger


def add_canary(
    open_ledger: OpenLedger, principal: Principal, *, target: str, port: int, protocol: str, note: str
) -> Canary:
    """Name a listener that every node must be able to reach. Raises InvalidInput."""
    if protocol != "tcp":
        raise InvalidInput(
            "protocol", "A canary is a TCP listener: whether a silent UDP port is there, nobody can tell."
        )
    parsed = parse_targets((target,), "target")
    if parsed.addresses.size + len(parsed.host_names) != 1:
        raise InvalidInput("target", "A canary is one address or one host name, such as 192.0.2.7.")
    (text,) = (*map(str, parsed.addresses), *parsed.host_names)
    with open_ledger() as ledger:
        canary = Canary(new_id(), text, port, protocol, note, ledger.now(), principal.name)
        ledger.policies.add_canary(canary)
        ledger.audit.record(principal, "canary.add", canary.id, target=text, port=port)
        ledger.commit()
        return canary


def read_canaries(open_ledger: OpenLedger) -> list[Canary]:
    """Every canary, oldest first."""
    with open_ledger(read_only=True) as ledger:
        return ledger.policies.canaries()


def delete_canary(open_ledger: OpenLedger, principal: Principal, canary_id: str) -> None:
    """Forget one. Raises NotFound."""
    with open_ledger() as ledger:
        if not ledger.policies.delete_canary(canary_id):
            raise NotFound(f"There is no canary {canary_id[:64]!r}. `cloudx canaries list` shows them.")
        ledger.audit.record(principal, "canary.delete", canary_id)
        ledger.commit()
