"""A named list stands for its targets at the moment at which a scan of it is submitted."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pytest

from cloudx.domain.errors import Conflict, InvalidInput, NotFound, TargetOutOfScope
from cloudx.services.ledger.lists import TargetList
from cloudx.services.scans.submit import ScanRequest
from cloudx.services.schedules.edit_lists import add_list, delete_list
from contract.test_concurrent_workers import run_at_once
from fixtures.ledgers import ADMIN, Desk


def named(desk: Desk, name: str, *targets: str) -> TargetList:
    return add_list(desk.open_ledger, ADMIN, name=name, targets=targets)


def scan_of(desk: Desk, name: str, key: str | None = None, targets: tuple[str, ...] = ()) -> str:
    return desk.submit_scan(ScanRequest(targets, "masscan", ports="80", list_name=name), ADMIN, key).id


def test_a_scan_of_a_list_probes_what_the_list_has_then(desk: Desk) -> None:
    made = named(desk, "offices", "10.1.0.0/30", "10.2.0.1")
    scan_id = scan_of(desk, "offices", key="k")
    delete_list(desk.open_ledger, ADMIN, made.id)
    named(desk, "offices", "10.3.0.1")
    with desk.open_ledger(read_only=True) as ledger:
        record = ledger.scans.get(scan_id)
    assert record is not None and record.scan.addresses.texts() == ["10.1.0.0-10.1.0.3", "10.2.0.1"]
    assert record.scan.target_text == "10.1.0.0/30,10.2.0.1"
    assert scan_of(desk, "offices", key="k") == scan_id  # the same request, whatever the list is by now


def test_a_name_is_used_once_by_however_many_at_once(desk: Desk) -> None:
    def try_to_add(target: str) -> None:
        with suppress(Conflict):
            named(desk, "offices", target)

    run_at_once(*(partial(try_to_add, f"10.0.0.{number}") for number in range(6)))
    with desk.open_ledger(read_only=True) as ledger:
        assert len(ledger.lists.all()) == 1
    with pytest.raises(Conflict, match="already"):
        named(desk, "offices", "10.0.0.1")


def test_a_list_allows_nothing(desk: Desk) -> None:
    named(desk, "elsewhere", "198.51.100.0/24")
    with pytest.raises(TargetOutOfScope):
        scan_of(desk, "elsewhere")
    assert desk.count("scans") == 0


def test_a_list_that_is_not_there_is_named_in_the_refusal(desk: Desk) -> None:
    with pytest.raises(InvalidInput, match="There is no list 'offices'") as refused:
        scan_of(desk, "offices")
    assert refused.value.field == "list"
    with pytest.raises(InvalidInput, match="not both"):
        scan_of(desk, "offices", targets=("10.0.0.1",))
    with pytest.raises(NotFound):
        delete_list(desk.open_ledger, ADMIN, "01900000-0000-7000-8000-000000000000")


@pytest.mark.parametrize("targets", [(), ("",), ("10.0.0.1/99",), ("-iL",)])
def test_what_is_no_target_is_refused(desk: Desk, targets: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput) as refused:
        named(desk, "bad", *targets)
    assert refused.value.field == "targets"
