"""What people ask over many scans: search, schedules, who probed; and what the server tells by itself."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from fixtures.page_data import desk_of, keep, many_hosts
from fixtures.servers.chromium import Visitor
from fixtures.servers.gunicorn import ADMIN_TOKEN, Gunicorn
from fixtures.servers.service import Service


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An API with two scans of a network."""
    running = Gunicorn(tmp_path_factory.mktemp("searched"))
    running.start()
    for hosts, name in ((120, "Before"), (100, "After")):
        keep(desk_of(running.data_dir), "10.0.0.0/24", "1-9000", many_hosts(hosts), name)
    yield running
    running.stop()


def test_search_finds_what_is_open_now_and_each_sighting(searched: Gunicorn, new_visitor: Any) -> None:
    visitor: Visitor = new_visitor(searched.url)
    visitor.sign_in(ADMIN_TOKEN)
    page = visitor.open("search", "Search")
    page.get_by_label("Service").fill("MYSQL")
    page.get_by_label("Network").fill("10.0.0.0/25")
    page.get_by_role("button", name="Search", exact=True).click()
    rows = page.get_by_role("region", name="Findings").get_by_role("row")
    expect(page.get_by_role("heading", name=re.compile(r"^\d+ found$"))).to_be_visible()
    latest = rows.count() - 1
    assert latest > 0 and "3306/tcp" in rows.nth(1).inner_text()
    page.get_by_label("Every sighting").check()
    page.get_by_role("button", name="Search", exact=True).click()
    expect(rows).not_to_have_count(latest + 1)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="NDJSON").click()
    lines = [json.loads(line) for line in waiting.value.path().read_text().splitlines()]
    assert len(lines) == rows.count() - 1 and {line["port"] for line in lines} == {3306}
    assert "service=MYSQL" in page.url and "cidr=10.0.0.0" in page.url, "the question can be kept"
    page.get_by_label("Address").fill("nonsense")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("nonsense")


def requests_of(page: Page) -> list[str]:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    return asked


def test_a_schedule_is_made_runs_at_its_time_and_by_hand(service: Service, new_visitor: Any) -> None:
    visitor: Visitor = new_visitor(service.url)
    visitor.sign_in(service.token)
    page = visitor.open("schedules", "Schedules")
    page.get_by_label("Name", exact=True).fill("Each minute")
    page.get_by_label("Times").fill("* * * * * *")
    page.get_by_label("Targets").fill("127.0.0.1")
    page.get_by_label("Ports").fill(str(service.port))
    page.get_by_role("button", name="Add the schedule").click()
    expect(page.get_by_role("alert")).to_contain_text("five fields")
    page.get_by_label("Times").fill("* * * * *")
    page.get_by_role("button", name="Add the schedule").click()
    row = page.get_by_role("region", name="Schedules").get_by_role("row").filter(has_text="Each minute")
    expect(row).to_contain_text("never")
    expect(row).to_contain_text("completed", timeout=150_000)  # its tick comes within a minute
    row.get_by_role("link", name="completed").click()
    expect(page.get_by_role("heading", name="Each minute", level=1)).to_be_visible()
    expect(page.locator("main")).to_contain_text("100 %")
    visitor.open("schedules", "Schedules")
    row.get_by_role("button", name="Pause Each minute").click()
    expect(row).to_contain_text("paused")
    row.get_by_role("button", name="Run Each minute now").click()
    expect(page.locator("main").get_by_text("Each minute runs now.")).to_be_visible()
    row.get_by_role("button", name="Delete Each minute").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("There is no schedule yet.")).to_be_visible()


def test_an_event_shows_a_new_scan_while_the_polls_rest(service: Service, new_visitor: Any) -> None:
    visitor: Visitor = new_visitor(service.url)
    asked = requests_of(visitor.page)
    visitor.sign_in(service.token)
    page = visitor.open("scans", "Scans")
    expect(page.locator(".lead")).to_contain_text("scan")
    assert any("/api/events?types=" in url for url in asked) and not any(service.token in url for url in asked)
    asked.clear()
    page.wait_for_timeout(5000)
    polls = sum("/api/scans?" in url for url in asked)
    assert polls <= 2, f"{polls} polls in five seconds without an event"
    service.scan(target="127.0.0.1", tool="nmap", ports=str(service.port), name="Told by an event")
    row = page.get_by_role("row").filter(has_text="Told by an event")
    expect(row).to_contain_text("completed")


def test_without_events_the_polls_do_it_all(service: Service, new_visitor: Any) -> None:
    visitor: Visitor = new_visitor(service.url)
    visitor.page.route("**/api/events*", lambda route: route.fulfill(status=503, body=""))
    visitor.sign_in(service.token)
    page = visitor.open("scans", "Scans")
    service.scan(target="127.0.0.1", tool="nmap", ports=str(service.port), name="Seen by a poll")
    expect(page.get_by_role("row").filter(has_text="Seen by a poll")).to_contain_text("completed")
    visitor.complaints = [words for words in visitor.complaints if "503" not in words]


def test_who_probed_an_address_is_answered_with_the_scan_and_who_asked(service: Service, new_visitor: Any) -> None:
    service.wait_for(service.scan(target="127.0.0.77", tool="nmap", ports="1-5", name="A knock"))
    visitor: Visitor = new_visitor(service.url)
    visitor.sign_in(service.token)
    page = visitor.open("probes", "Who probed")
    page.get_by_label("Address").fill("127.0.0.77")
    page.get_by_role("button", name="Look it up").click()
    attempts = page.get_by_role("region", name="Attempts")
    expect(attempts).to_contain_text("nmap default")
    expect(attempts).to_contain_text("admin")
