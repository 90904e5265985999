"""One hostile page, in the browser of somebody who runs an open API on loopback; and settings that would let it in."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests

from fixtures.servers.browser import Page
from fixtures.servers.gunicorn import Gunicorn
from fixtures.servers.service import CLOUDX
from rig.environment import clean_environment
from rig.waiting import until

SCAN = {"target": "127.0.0.66", "tool": "nmap", "port": 80}
PATIENCE_SECONDS = 240
OURS = "http://localhost:3000"


def told_by(browser: Page, page: str, api: str) -> dict[str, Any]:
    """What the page's tries gave."""
    browser.go_to(f"{page}?api={api}")
    until(lambda: browser.run("document.title") == "over", PATIENCE_SECONDS, browser.text)
    told: dict[str, Any] = json.loads(browser.run("document.getElementById('told').textContent"))
    return told


@pytest.fixture
def open_api(new_gunicorn) -> Gunicorn:
    """An open API, as `make run` of docs/frontend.md starts it."""
    running: Gunicorn = new_gunicorn(CLOUDX_AUTH="open", CLOUDX_CORS_ORIGINS=OURS)
    return running


def call(api: Gunicorn, method: str, path: str, **headers: str) -> requests.Response:
    """A request without a credential; `body` by the path's own need."""
    body = SCAN if method == "POST" else None
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(method, api.url + path, json=body, headers=named, timeout=30)


def test_a_hostile_page_reads_nothing_scans_nothing_and_makes_the_api_probe_nobody(open_api, browser, page_origin):
    told = told_by(browser, f"{page_origin}/hostile.html", open_api.url)
    read = {name: gave for name, gave in told.items() if not str(gave).startswith(("blocked", "sent", "loaded"))}
    assert read == {} and len(told) == 12
    assert call(open_api, "GET", "/api/scans").json() == []
    assert call(open_api, "GET", "/api/tokens").json() == []
    actions = {entry["action"] for entry in call(open_api, "GET", "/api/audit").json()["items"]}
    assert not actions & {"scan.submit", "token.issue", "monitor.probe"}
    asked = [line for line in open_api.lines() if line.get("path") == "/api/system-monitor"]
    assert {line["status"] for line in asked} == {403}, "the browser did send them"


FOREIGN = {
    "another origin": {"Origin": "https://evil.example"},
    "another port of this machine": {"Origin": "http://localhost:9"},
    "an origin that begins as ours": {"Origin": OURS + ".evil.example"},
    "an origin that ours is the end of": {"Origin": "http://evil.example/" + OURS},
    "an origin where our dot is any letter": {"Origin": "http://localhostx3000"},
    "a sandboxed frame": {"Origin": "null"},
    "an image of another site": {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
    "a sibling's frame": {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "navigate"},
    "a link on another site": {"Referer": "https://evil.example/page"},
    "a name that was pointed here": {"Host": "rebound.example:5001"},
    "a name that begins with ours": {"Host": "127.0.0.1.rebound.example"},
    "an address of another machine": {"Host": "192.0.2.1"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/scans"),
        ("GET", "/api/scans"),
        ("GET", "/api/system-monitor?target=127.0.0.66"),
        ("GET", "/api/health"),
        ("GET", "/metrics"),
        ("GET", "/api/openapi.json"),
    ],
)
def test_an_open_api_answers_no_foreign_host_and_no_foreign_page(shared_open_api, headers, method, path):
    answer = call(shared_open_api, method, path, **headers)
    assert answer.status_code == 403 and answer.json()["code"] == "forbidden"
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.fixture(scope="module")
def shared_open_api(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One for those that only ask."""
    running = Gunicorn(tmp_path_factory.mktemp("open"), CLOUDX_AUTH="open", CLOUDX_CORS_ORIGINS=OURS)
    running.start()
    yield running
    running.stop()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": OURS},
        {"Origin": OURS, "Sec_Fetch_Site": "same-site"},
        {"Referer": OURS + "/scans", "Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
    ],
)
def test_the_listed_page_a_typed_address_and_a_program_are_answered(shared_open_api, headers):
    assert call(shared_open_api, "GET", "/api/scans", **headers).status_code == 200
    allowed = call(shared_open_api, "GET", "/api/scans", **headers).headers.get("Access-Control-Allow-Origin")
    assert allowed == headers.get("Origin")


def test_an_open_api_makes_no_tokens(shared_open_api):
    for role in ("viewer", "operator", "admin", "node"):
        body = {"name": "for later", "role": role} | ({"node_id": "vps1"} if role == "node" else {})
        answer = requests.post(f"{shared_open_api.url}/api/tokens", json=body, timeout=30)
        assert answer.status_code == 403 and "CLOUDX_AUTH=token" in answer.json()["error"]
    assert requests.get(f"{shared_open_api.url}/api/tokens", timeout=30).json() == []


@pytest.mark.parametrize(
    "origins",
    [
        "*", "https://*.example.org", "https://.*", r"https://app\.example\.org", "https://app.example.org/",
        "https://app.example.org/path", "https://[a-z]+.example.org", "app.example.org", "ftp://app.example.org",
        "null", "https://user@app.example.org", "https://app.example.org?x", "https://app.example.org:443",
        "http://localhost:80", "http://localhost:99999", "https://App.example.org", "https://a.example|https://b.example",
        "http://localhost:3000,https://ok.example,^https", "https://",
    ],
)  # fmt: skip
def test_an_origin_that_is_none_stops_the_start_with_one_line(tmp_path: Path, origins: str) -> None:
    environment = clean_environment(CLOUDX_DATA_DIR=str(tmp_path / "data"), CLOUDX_CORS_ORIGINS=origins)
    ended = subprocess.run([*CLOUDX, "serve"], env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "CLOUDX_CORS_ORIGINS" in line and "is no origin" in line


def test_no_listed_origin_is_read_as_a_pattern(new_api):
    """Flask-CORS takes a text with a bracket or a question mark for a regular expression."""
    listed = ("http://a.example.org:3000", "http://[::1]:3000", "https://b.example")
    api = new_api(CLOUDX_CORS_ORIGINS=",".join(listed))
    others = (
        "http://aXexample.org:3000", "http://:3000", "http://::3000", "http://1:3000", "https://b.example.evil",
        "https://bxexample", "http://a.example.org:30001",
    )  # fmt: skip
    allowed = {
        origin
        for origin in (*listed, *others)
        if "Access-Control-Allow-Origin" in api.get("/api/scans", headers={"Origin": origin}).headers
    }
    assert allowed == set(listed)
