"""Everybody can use the page: axe finds no serious barrier, the keyboard does all of it, a phone shows all of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from fixtures.page_data import desk_of, keep, many_hosts, registration
from fixtures.servers.chromium import DARK, DESKTOP, PHONE, Visitor
from fixtures.servers.gunicorn import ADMIN_TOKEN, NODE_TOKEN, Gunicorn

VIEWS = {
    "fleet": "Fleet", "scans": "Scans", "scans/new": "New scan", "schedules": "Schedules", "search": "Search",
    "diff": "Diff", "probes": "Who probed",
    "scopes": "Scopes", "exclusions": "Exclusions", "lists": "Lists", "canaries": "Canaries", "tokens": "Tokens",
    "audit": "Audit",
}  # fmt: skip
_AXE = importlib.util.find_spec("axe_playwright_python")
assert _AXE is not None and _AXE.origin is not None
AXE = (Path(_AXE.origin).parent / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An API with something in every view, and a finished scan."""
    running = Gunicorn(tmp_path_factory.mktemp("furnished"))
    running.start()
    for number in range(8):
        running.post("/api/nodes/register", registration(number), token=NODE_TOKEN)
    running.post("/api/exclusions", {"targets": ["10.1.0.0/24"], "note": "the printer"})
    running.post("/api/lists", {"name": "Offices", "targets": ["10.1.0.1"]})
    running.post("/api/tokens", {"name": "ci", "role": "operator"})
    running.post("/api/canaries", {"target": "127.0.0.1", "port": 80, "note": "ours"})
    scans = [
        keep(desk_of(running.data_dir), "10.0.0.0/24", "1-9000", many_hosts(200 - 20 * n), f"Look {n}") for n in (0, 1)
    ]
    yield running, scans
    running.stop()


def barriers(page: Page) -> list[str]:
    """What axe calls serious or critical."""
    if page.evaluate("typeof window.axe") == "undefined":
        page.evaluate(AXE)
    found = page.evaluate(
        "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}, resultTypes: ['violations']})", RULES
    )
    return [
        f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("looks", [DESKTOP, DARK, PHONE], ids=["light", "dark", "phone"])
def test_no_view_has_a_serious_barrier(furnished: Any, new_visitor: Any, looks: dict[str, Any]) -> None:
    api, scans = furnished
    visitor: Visitor = new_visitor(api.url, **looks)
    page = visitor.page
    page.goto(api.url)
    page.get_by_role("heading", name="Sign in").wait_for()
    found = {"the door": barriers(page)}
    visitor.sign_in(ADMIN_TOKEN)
    views = VIEWS | {f"scans/{scans[0]}": "Look 0", f"diff?before={scans[0]}&after={scans[1]}": "Diff"}
    for view, heading in views.items():
        visitor.open(view, heading)
        if heading == "Look 0":
            page.locator(".port-label").first.wait_for()
        found[view] = barriers(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{view} is cut off at the right"
    page.get_by_role("button", name="Menu").click() if looks is PHONE else None
    visitor.open("fleet", "Fleet")
    page.get_by_role("list", name="Nodes").get_by_role("button").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    found["a node"] = barriers(page)
    assert {view: words for view, words in found.items() if words} == {}


def test_the_keyboard_alone_goes_from_the_door_into_a_view(furnished: Any, new_visitor: Any) -> None:
    api, _ = furnished
    visitor: Visitor = new_visitor(api.url)
    page = visitor.page
    page.goto(api.url)
    page.get_by_role("heading", name="Sign in").wait_for()
    page.keyboard.type(ADMIN_TOKEN)  # the focus is in the field already
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Fleet", exact=True)).to_be_focused()
    skip = page.get_by_role("link", name="Skip to content")
    assert page.evaluate("document.body.firstElementChild.className") == "skip", "before all else"
    skip.focus()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    expect(page.get_by_label("Search nodes")).to_be_focused()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus is seen"
    page.get_by_role("button", name="vps-0000").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="vps-0000")).to_be_focused()
    page.get_by_role("link", name="Scans", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Scans", exact=True)).to_be_focused()
    assert page.title() == "Scans · Cloud-X"
    expect(page.locator("#announcer")).to_have_text("Scans")


def test_light_and_dark_follow_the_system_until_the_reader_chooses(furnished: Any, new_visitor: Any) -> None:
    api, _ = furnished
    visitor: Visitor = new_visitor(api.url, **DARK)
    visitor.sign_in(ADMIN_TOKEN)
    page = visitor.page
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.get_by_role("button", name="Theme: system").click()
    light = page.evaluate(paper)
    assert light != dark
    page.reload()
    expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert page.evaluate(paper) == light, "the choice is kept"
    page.get_by_role("button", name="Theme: light").click()
    assert page.evaluate(paper) == dark


def test_on_a_phone_the_menu_opens_leads_on_and_closes(furnished: Any, new_visitor: Any) -> None:
    api, _ = furnished
    visitor: Visitor = new_visitor(api.url, **PHONE)
    visitor.sign_in(ADMIN_TOKEN)
    page = visitor.page
    expect(page.get_by_role("link", name="Audit")).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Audit").click()
    expect(page.get_by_role("heading", name="Audit")).to_be_visible()
    expect(page.get_by_role("link", name="Audit")).to_be_hidden()
