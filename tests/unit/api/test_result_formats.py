"""CSV, NDJSON and cursors."""

import csv
import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.api.result_formats import COLUMNS, csv_of, cursor_of, guarded, key_of_cursor, ndjson_of
from cloudx.domain.errors import InvalidInput
from cloudx.services.ledger.records import FindingRow

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SCAN = "01a20e75-a13e-7f12-b8d5-b4ecd6cf25ff"


def finding(**changes: Any) -> FindingRow:
    fields: dict[str, Any] = {
        "scan_id": SCAN, "ip": "10.0.0.1", "protocol": "tcp", "port": 80, "state": "open", "service": "http",
        "hostname": None, "observed_at": AT, "node_id": "vps1", "extra": {},
    }  # fmt: skip
    return FindingRow(**(fields | changes))


def read_csv(rows: Iterable[FindingRow]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(csv_of(rows)).decode(), newline="")))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_cell_is_a_formula_to_a_spreadsheet(text):
    cell = guarded(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_a_banner_that_is_a_formula_is_quoted():
    assert read_csv([finding(service='=cmd|"/C calc"!A0')])[0]["service"] == '\'=cmd|"/C calc"!A0'


def test_ndjson_has_every_column_and_what_the_tool_adds():
    lines = b"".join(ndjson_of([finding(extra={"ttl": 64})] * 1200)).splitlines()
    assert len(lines) == 1200
    assert json.loads(lines[0]).keys() == {*COLUMNS, "ttl"}


def test_what_a_tool_adds_never_hides_a_column():
    assert json.loads(next(iter(ndjson_of([finding(extra={"ip": "6.6.6.6"})]))))["ip"] == "10.0.0.1"


@pytest.mark.parametrize("key", [("10.0.0.1", "tcp", 80), ("2001:db8::1", "udp", 65535), ("10.0.0.1", "icmp", 0)])
def test_a_cursor_leads_back_to_its_key(key):
    assert key_of_cursor(cursor_of(key)) == key


@given(st.text())
def test_a_made_up_cursor_is_refused_never_a_crash(text):
    try:
        key = key_of_cursor(text)
    except InvalidInput as refused:
        assert refused.field == "cursor"
    else:
        assert key is not None and 0 <= key[2] <= 65535
