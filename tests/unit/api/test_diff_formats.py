"""A diff as NDJSON and CSV, and its cursors."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.api.diff_formats import (
    CSV_COLUMNS,
    csv_of_diff,
    diff_cursor_of,
    ndjson_of_diff,
    read_diff_cursor,
    show_page,
)
from cloudx.api.json_codec import encode
from cloudx.api.result_formats import COLUMNS
from cloudx.api.schemas.diff import DiffPage as PageSchema
from cloudx.domain.diff.changes import Change
from cloudx.domain.errors import InvalidInput
from cloudx.services.ledger.records import FindingRow
from cloudx.services.scans.comparison import DiffItem, DiffSummary
from cloudx.services.scans.diff import DiffPage
from unit.api.test_result_formats import finding

BEFORE, AFTER = "01a20e75-a13e-7f12-b8d5-b4ecd6cf25ff", "01a20e75-a13e-7f12-b8d5-b4ecd6cf2600"
KEY = ("10.0.0.1", "tcp", 80)


def item(change: Change, before: FindingRow | None, after: FindingRow | None) -> DiffItem:
    return DiffItem(change, KEY, before, after)


def page(*items: DiffItem, **changes: Any) -> DiffPage:
    fields: dict[str, Any] = {"summary": DiffSummary(1, 2, 3, 4, 5), "following": KEY}
    return DiffPage(**{"before_id": BEFORE, "after_id": AFTER, "items": list(items), **fields, **changes})


CLOSED = item(Change.CLOSED, finding(extra={"ttl": 64}), None)
CHANGED = item(Change.CHANGED, finding(), finding(state="open|filtered", node_id="vps2"))


def read_csv(*items: DiffItem) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(csv_of_diff(items)).decode(), newline="")))


def test_a_line_has_the_change_its_key_and_both_findings_whole():
    closed, changed = (json.loads(line) for line in b"".join(ndjson_of_diff([CLOSED, CHANGED])).splitlines())
    assert list(closed) == ["change", "ip", "protocol", "port", "before", "after"]
    assert (closed["change"], closed["ip"], closed["protocol"], closed["port"]) == ("closed", *KEY)
    assert closed["before"].keys() == {*COLUMNS, "ttl"} and closed["after"] is None
    assert (changed["before"]["state"], changed["after"]["state"]) == ("open", "open|filtered")


def test_a_page_is_what_its_schema_says():
    shown = json.loads(encode(show_page(page(CLOSED, CHANGED), "next")))
    assert (shown["from"], shown["to"], shown["next_cursor"]) == (BEFORE, AFTER, "next")
    assert shown["summary"] == {"opened": 1, "closed": 2, "changed": 3, "unchanged": 4, "not_observed": 5}
    assert PageSchema.model_validate(shown).model_dump(by_alias=True) == shown


def test_csv_has_both_findings_side_by_side_and_empty_cells_for_one_that_is_not_there():
    closed, changed = read_csv(CLOSED, CHANGED)
    assert tuple(closed) == CSV_COLUMNS
    assert (closed["change"], closed["ip"], closed["protocol"], closed["port"]) == ("closed", "10.0.0.1", "tcp", "80")
    assert (closed["before_state"], closed["before_extra"]) == ("open", '{"ttl":64}')
    assert {name for name, cell in closed.items() if name.startswith("after_") and cell} == set()
    assert (changed["before_node_id"], changed["after_node_id"]) == ("vps1", "vps2")


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_no_cell_is_a_formula_to_a_spreadsheet(service, hostname):
    hostile = finding(service=service, hostname=hostname, extra={"product": service})
    (row,) = read_csv(item(Change.CHANGED, hostile, hostile))
    assert not [cell for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]


def test_a_cursor_leads_back_to_its_key_and_summary():
    cursor = diff_cursor_of(page())
    assert read_diff_cursor(cursor, BEFORE, AFTER) == (KEY, DiffSummary(1, 2, 3, 4, 5))
    assert read_diff_cursor(None, BEFORE, AFTER) == (None, None)
    assert diff_cursor_of(page(following=None)) is None


def test_the_longest_cursor_fits_into_a_query():
    most = DiffSummary(*[(1 << 63) - 1] * 5)
    key = ("2001:db8:1234:5678:9abc:def0:1234:5678", "icmp", 65535)
    assert len(diff_cursor_of(page(following=key, summary=most)) or "") <= 256


@pytest.mark.parametrize("ids", [(AFTER, BEFORE), (BEFORE, BEFORE)])
def test_a_cursor_of_other_scans_or_of_the_other_order_is_refused(ids):
    with pytest.raises(InvalidInput) as refused:
        read_diff_cursor(diff_cursor_of(page()), *ids)
    assert refused.value.field == "cursor"


@given(st.text() | st.lists(st.text(max_size=8), min_size=9, max_size=9).map(" ".join))
def test_a_made_up_cursor_is_refused_never_a_crash(text):
    with pytest.raises(InvalidInput) as refused:
        read_diff_cursor(text, BEFORE, AFTER)
    assert refused.value.field == "cursor"
