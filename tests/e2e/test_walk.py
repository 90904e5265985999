"""The page as a new user walks it: real `cloudx up`, real listeners, Debian's Chromium."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from fixtures.servers.chromium import Visitor
from fixtures.servers.service import Service

ADDRESS = "127.0.0.42"


class Listener:
    """An open port of loopback until it is closed."""

    def __init__(self) -> None:
        self._socket = socket.create_server((ADDRESS, 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        try:
            while True:
                self._socket.accept()[0].close()
        except OSError:
            return

    def close(self) -> None:
        """From now on the port is closed."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def listeners() -> Iterator[tuple[Listener, Listener]]:
    made = Listener(), Listener()
    yield made
    for one in made:
        try:
            one.close()
        except OSError:
            continue


def download(visitor: Visitor, words: str) -> str:
    with visitor.page.expect_download() as waiting:
        visitor.page.get_by_role("link", name=words, exact=True).click()
    return waiting.value.path().read_text()


def fill_in(visitor: Visitor, targets: str, ports: str, **more: str) -> None:
    page = visitor.open("scans/new", "New scan")
    page.get_by_label("Targets").fill(targets)
    page.get_by_label("Ports", exact=True).fill(ports)
    for label, value in more.items():
        page.get_by_label(label, exact=True).fill(value)


def test_from_the_door_to_a_diff(service: Service, new_visitor: Any, listeners: tuple[Listener, Listener]) -> None:
    visitor: Visitor = new_visitor(service.url)
    page = visitor.page
    stays, goes = listeners
    low, high = sorted((stays.port, goes.port))
    ports = f"{stays.port},{goes.port}"

    page.goto(service.url)
    page.get_by_label("Token", exact=True).fill("cx_not-a-token")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("This token is not known here")).to_be_visible()
    visitor.sign_in(service.token)
    assert service.token not in page.content() and service.token not in page.url
    assert page.evaluate("document.cookie") == "" and page.evaluate("JSON.stringify(localStorage)") == "{}"
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    expect(page.get_by_role("list", name="Nodes").get_by_text("healthy")).to_be_visible()

    # A mistake is told at its field while it is typed, and the cost as soon as there is one.
    fill_in(visitor, "192.0.2.0/40", ports)
    expect(page.locator(".field-error:visible")).to_contain_text("192.0.2.0/40")
    page.get_by_label("Targets").fill(ADDRESS)
    expect(page.get_by_role("complementary")).to_contain_text("1 address")
    expect(page.locator(".field-error:visible")).to_have_count(0)
    page.get_by_label("Name", exact=True).fill("First look")
    page.get_by_role("button", name="Start the scan").click()

    page.get_by_role("heading", name="First look", level=1).wait_for()
    expect(page.locator("main")).to_contain_text("100 %")
    findings = page.get_by_role("region", name="Findings")
    expect(findings.get_by_role("row")).to_have_count(3)
    page.get_by_label("Search what was found").fill(str(goes.port))
    expect(findings.get_by_role("row")).to_have_count(2)
    expect(page.get_by_text("1 of 2 findings.")).to_be_visible()
    page.get_by_label("Search what was found").fill("")

    found = {low, high}
    assert {row["port"] for row in json.loads(download(visitor, "JSON"))["items"]} == found
    assert {json.loads(line)["port"] for line in download(visitor, "NDJSON").splitlines()} == found
    assert {int(row["port"]) for row in csv.DictReader(io.StringIO(download(visitor, "CSV")))} == found
    assert {int(port.attrib["portid"]) for port in ET.fromstring(download(visitor, "nmap XML")).iter("port")} == found

    goes.close()
    page.get_by_role("link", name="Repeat").click()
    expect(page.get_by_label("Ports", exact=True)).to_have_value(f"{low},{high}")
    page.get_by_label("Name", exact=True).fill("Second look")
    page.get_by_role("button", name="Start the scan").click()
    page.get_by_role("heading", name="Second look", level=1).wait_for()
    page.get_by_role("link", name="Compare").click()
    changes = page.get_by_role("region", name="Changes")
    expect(changes.get_by_role("row")).to_have_count(2)
    expect(changes).to_contain_text(f"{goes.port}/tcp")
    expect(changes).to_contain_text("closed")

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.context.cookies() == []


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
