"""Whatever a target, a node or another user names himself, the page shows it as text."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from fixtures.page_data import HOSTILE, desk_of, hostile_findings, keep, registration
from fixtures.servers.chromium import PHONE, Visitor
from fixtures.servers.gunicorn import ADMIN_TOKEN, NODE_TOKEN, Gunicorn

VIEWS = [
    "fleet",
    "scans",
    "search",
    "schedules",
    "scopes",
    "exclusions",
    "lists",
    "canaries",
    "tokens",
    "audit",
    "diff",
    "probes?ip=10.0.0.1",
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An API in which every text that somebody else chose wants to be markup, and two scans of such hosts."""
    running = Gunicorn(tmp_path_factory.mktemp("hostile"))
    running.start()
    for number, words in enumerate(HOSTILE):
        check = {"id": "raw", "name": words, "status": "critical", "output": words}
        node = registration(number, hostname=words, version=words, checks=[check])
        assert running.post("/api/nodes/register", node, token=NODE_TOKEN).status_code == 201
        note = {"targets": [f"10.1.{number}.0/24"], "note": words}
        assert running.post("/api/scopes", note | {"owner": words}).status_code == 201
        assert running.post("/api/exclusions", note).status_code == 201
        assert running.post("/api/lists", {"name": words, "targets": ["10.1.0.1"]}).status_code == 201
        assert running.post("/api/tokens", {"name": words, "role": "viewer"}).status_code == 201
        canary = {"target": "127.0.0.1", "port": 80 + number, "note": words}
        assert running.post("/api/canaries", canary).status_code == 201
    scans = [
        keep(desk_of(running.data_dir), "10.0.0.0/24", "80,81", hostile_findings(), words) for words in HOSTILE[:2]
    ]
    yield running, scans
    running.stop()


@pytest.mark.parametrize("looks", [{}, PHONE], ids=["desktop", "phone"])
def test_every_view_shows_hostile_text_as_text(hostile: Any, new_visitor: Any, looks: dict[str, Any]) -> None:
    api, scans = hostile
    visitor: Visitor = new_visitor(api.url, **looks)
    visitor.sign_in(ADMIN_TOKEN)
    page = visitor.page
    of_scans = [f"scans/{scans[0]}", f"scans/new?from={scans[1]}", f"diff?before={scans[0]}&after={scans[1]}"]
    for view in [*VIEWS, *of_scans]:
        visitor.open(view)
        assert page.evaluate("window.owned") is None, view
        assert page.locator("main img, main script, main b:not(.chip b), main svg[onload]").count() == 0, view
        assert page.evaluate("document.querySelectorAll('a[href^=\"javascript\" i]').length") == 0, view
        width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, f"{view} is cut off at the right"


def test_a_hostile_banner_can_be_read_searched_for_and_picked(hostile: Any, new_visitor: Any) -> None:
    api, scans = hostile
    visitor: Visitor = new_visitor(api.url)
    visitor.sign_in(ADMIN_TOKEN)
    page = visitor.open(f"scans/{scans[0]}")
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE[0])
    rows = page.get_by_role("region", name="Findings").get_by_role("row")
    expect(rows).to_have_count(1 + 2 * len(HOSTILE))
    page.get_by_label("Search what was found").fill("onload=window.owned")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text(HOSTILE[2])
    expect(rows.nth(1)).not_to_contain_text("⟨U+")
    page.get_by_label("Search what was found").fill("gnp.exe")
    expect(rows.nth(1)).to_contain_text("⟨U+202E⟩<b>gnp.exe</b>⟨U+2066⟩")
    page.get_by_label("Search what was found").fill("")
    page.get_by_role("list", name="Ports by how many hosts").get_by_role("button").last.click()
    expect(rows).to_have_count(1 + len(HOSTILE))
    page.get_by_role("button", name="Show all").click()
    expect(rows).to_have_count(1 + 2 * len(HOSTILE))
    assert page.evaluate("window.owned") is None


def test_the_policy_refuses_markup_even_where_a_script_of_ours_would_make_it(hostile: Any, new_visitor: Any) -> None:
    api, _ = hostile
    visitor: Visitor = new_visitor(api.url)
    visitor.sign_in(ADMIN_TOKEN)
    refused = visitor.page.evaluate(
        "(() => { try { document.body.innerHTML = '<b>x</b>'; return 'taken'; } catch (e) { return e.name; } })()"
    )
    assert refused == "TypeError"
    assert any("trusted" in words.lower() for words in visitor.complaints)
    visitor.complaints.clear()
