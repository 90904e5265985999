"""The page as a new user walks it: real `cloudx up`, real listeners, Debian's Chromium."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import expect

from fixtures.servers.chromium import Visitor
from fixtures.servers.service import Service
from fixtures.walk import fill_in, walk_from_the_door_to_a_diff


def test_from_the_door_to_a_diff(service: Service, new_visitor: Any) -> None:
    walk_from_the_door_to_a_diff(new_visitor(service.url), service.token)


def test_a_scan_moves_and_is_stopped(service: Service, new_visitor: Any) -> None:
    visitor: Visitor = new_visitor(service.url)
    visitor.sign_in(service.token)
    fill_in(visitor, "127.0.0.0/24", "1-2000", Rate="300", Name="A slow one")
    page = visitor.page
    expect(page.get_by_role("complementary")).to_contain_text("min")
    page.get_by_role("button", name="Start the scan").click()
    page.get_by_role("heading", name="A slow one", level=1).wait_for()
    expect(page.locator(".progress-card")).to_contain_text("running")
    before = page.locator(".rate-now").inner_text()
    expect(page.locator(".rate-now")).not_to_have_text(before)
    visitor.open("scans", "Scans")
    row = page.get_by_role("row").filter(has_text="A slow one")
    expect(row).to_contain_text("running")
    row.get_by_role("link").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".progress-card")).to_contain_text("stopped")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    expect(page.locator(".legend-completed")).to_contain_text(re.compile(r"\d"))


def test_who_is_not_signed_in_sees_the_door_and_a_revoked_token_leads_back_to_it(
    service: Service, new_visitor: Any
) -> None:
    visitor: Visitor = new_visitor(service.url)
    page = visitor.page
    page.goto(f"{service.url}/#/tokens")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    made = service.call("POST", "/api/tokens", json={"name": "for a walk", "role": "viewer"}).json()
    page.get_by_label("Token", exact=True).fill(made["token"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Scans", exact=True).click()
    expect(page.get_by_role("heading", name="Scans", exact=True)).to_be_visible()
    assert page.get_by_role("link", name="New scan").count() == 0, "a viewer looks"
    assert page.get_by_role("link", name="Tokens").count() == 0
    service.call("DELETE", f"/api/tokens/{made['id']}")
    expect(page.get_by_text("The session is over")).to_be_visible()


def test_with_open_access_nobody_signs_in(new_service: Any, new_visitor: Any) -> None:
    running = new_service(CLOUDX_AUTH="open")
    running.start()
    visitor: Visitor = new_visitor(running.url)
    visitor.page.goto(running.url)
    expect(visitor.page.get_by_role("heading", name="Fleet", exact=True)).to_be_visible()
    expect(visitor.page.locator(".rail")).to_contain_text("Open access")
    fill_in(visitor, "127.0.0.1", str(running.port))
    visitor.page.get_by_role("button", name="Start the scan").click()
    expect(visitor.page.locator(".progress-card")).to_contain_text("completed")
