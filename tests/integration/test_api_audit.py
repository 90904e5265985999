"""The audit trail through the API: who changed what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from fixtures.servers.api import ApiUnderTest

FIELDS = {"id", "at", "principal", "role", "action", "subject", "detail"}


@pytest.fixture
def busy(api: ApiUnderTest) -> ApiUnderTest:
    """An API with a few changes made by the admin and one by an operator."""
    api.register()
    operator = api.token("operator")
    scan_id = api.submit(name="weekly")
    api.post(f"/api/scans/{scan_id}/stop", None, token=operator)
    for number in range(6):
        api.post("/api/exclusions", {"targets": [f"192.0.2.{number}"], "note": "ours"})
    return api


def test_every_change_is_an_entry_that_says_who_made_it_when_and_to_what(busy):
    page = busy.get("/api/audit").json
    assert page["next_cursor"] is None and all(item.keys() == FIELDS for item in page["items"])
    by_action = {item["action"]: item for item in page["items"]}
    assert {"scan.submit", "scan.stop", "token.issue", "exclusion.add"} <= by_action.keys()
    submit, stop = by_action["scan.submit"], by_action["scan.stop"]
    assert submit["subject"] == stop["subject"] == busy.get("/api/scans").json[0]["job_id"]
    assert (submit["principal"], submit["role"], submit["detail"]["target"]) == ("admin", "admin", "127.0.0.1")
    assert (stop["role"], stop["principal"]) == ("operator", "token:a operator")
    moments = [datetime.fromisoformat(item["at"]) for item in page["items"]]
    assert moments == sorted(moments, reverse=True) and moments[0].utcoffset() == timedelta(0)


def test_it_is_narrowed_by_principal_action_and_time(busy):
    def actions(query: str) -> list[str]:
        return [item["action"] for item in busy.get(f"/api/audit?{query}").json["items"]]

    assert actions("action=exclusion.add") == ["exclusion.add"] * 6
    assert actions(f"principal={quote('token:a operator')}") == ["scan.stop"]
    assert actions("principal=admin&action=scan.stop") == []
    newest = busy.get("/api/audit?limit=1").json["items"][0]["at"]
    assert actions(f"since={quote(newest)}")[0] == "exclusion.add"
    assert actions(f"since={quote((datetime.now(UTC) + timedelta(hours=1)).isoformat())}") == []


def test_its_pages_lead_on_with_the_same_query_and_neither_repeat_nor_skip_while_entries_are_added(busy):
    seen: list[str] = []
    path: str | None = "/api/audit?action=exclusion.add&limit=4"
    while path:
        answer = busy.get(path)
        seen += [item["detail"]["targets"][0] for item in answer.json["items"]]
        link = answer.headers.get("Link")
        assert (link is None) == (answer.json["next_cursor"] is None)
        path = link.partition(">")[0].lstrip("<") if link else None
        assert path is None or (link.endswith('rel="next"') and "action=exclusion.add" in path and "limit=4" in path)
        busy.post("/api/exclusions", {"targets": ["198.51.100.1"]})
    assert seen == [f"192.0.2.{number}" for number in reversed(range(6))]


def test_reading_it_changes_nothing(busy):
    before = busy.rows()
    busy.get("/api/audit")
    assert busy.rows() == before


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_an_admin_may_read_it(busy, role):
    refused = busy.get("/api/audit", token=busy.token(role))
    assert refused.status_code == 403 and refused.json["code"] == "forbidden" and "items" not in refused.json
