"""docs/frontend.md followed with a real browser: a page of another origin makes the frontend's calls, both ways.

The settings and nginx's configuration are read from that page, so that what it says is what is tested.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from fixtures.servers.browser import PAGES, Page, serving_pages
from fixtures.servers.service import Service, free_port
from rig.waiting import until

RECIPE = (Path(__file__).parents[2] / "docs" / "frontend.md").read_text()
NGINX = "/usr/sbin/nginx"
PATIENCE_SECONDS = 240
NewService = Callable[..., Service]


def settings_of(way: str, origin: str) -> dict[str, str]:
    """The settings that the recipe sets for a way, with this origin of the page in place of its own."""
    section = re.search(rf"^## {way}\..*?(?=^## )", RECIPE, re.S | re.M)
    assert section is not None
    line = re.search(r"^ *((?:[A-Z_]+=\S+ )+)make run$", section[0], re.M)
    assert line is not None
    settings = dict(word.split("=", 1) for word in line[1].split())
    assert settings["CLOUDX_CORS_ORIGINS"] == "http://localhost:3000"
    return settings | {"CLOUDX_CORS_ORIGINS": origin}


def told_by(browser: Page, page_origin: str, api: str) -> dict[str, Any]:
    """What the page's calls gave."""
    browser.go_to(f"{page_origin}/frontend.html?api={api}")
    until(lambda: browser.run("document.title") == "over", PATIENCE_SECONDS, browser.text)
    told: dict[str, Any] = json.loads(browser.text())
    return told


def require_all_worked(told: dict[str, Any]) -> None:
    """Each of the frontend's calls gave what the frontend reads."""
    assert told["health"]["json"] == {"status": "ok"} and told["ping"]["json"] == {"status": "pong"}
    assert told["sync"]["json"]["status"] in ("active", "inactive")
    series = told["monitor"]["json"]
    assert all(0 <= series[name][0]["value"] <= 100 for name in ("cpu", "memory", "disk", "network"))
    assert told["submit"]["status"] == 202, told["submit"]
    assert told["finished"]["status"] == "completed", told["finished"]
    assert told["finished"]["results"]["nmaprun"]["host"][0]["address"]["addr"] == "127.0.0.1"
    assert told["finished"]["target_count"] == 1
    assert told["list"]["total"] == "1", "another origin may read the count"
    assert told["show"]["json"]["resolve"] is True
    assert told["submitAgain"]["status"] == 202 and told["stop"]["status"] == 200
    assert told["delete"]["status"] == 200 and told["gone"]["status"] == 404


@contextmanager
def nginx_of_the_recipe(folder: Path, api: Service, token: str) -> Iterator[str]:
    """nginx with the recipe's own configuration, on a free port, before this API; its origin."""
    port = free_port()
    (configuration,) = re.findall(r"```nginx\n(.*?)```", RECIPE, re.S)
    (header,) = re.findall(r"echo '(proxy_set_header Authorization .*?)' >", RECIPE)
    token_file = folder / "cloudx-token.conf"
    token_file.touch(0o600)
    token_file.write_text(header.replace("cx_…", token))
    for written, here in (
        ("127.0.0.1:8080", f"127.0.0.1:{port}"),
        ("http://127.0.0.1:5001", api.url),
        ("/etc/nginx/cloudx-token.conf", str(token_file)),
        ("/srv/frontend", str(PAGES)),
    ):
        assert written in configuration
        configuration = configuration.replace(written, here)
    own = f"pid {folder}/pid; error_log {folder}/error.log; daemon off; user root; events {{}}\n"
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(f"{own}http {{ access_log off; {temporary}\n{configuration}\n}}\n")
    with open(folder / "nginx.log", "wb") as log:
        command = [NGINX, "-p", str(folder), "-e", f"{folder}/error.log", "-c", str(folder / "nginx.conf")]
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        origin = f"http://127.0.0.1:{port}"
        until(lambda: _answers(origin), 30, lambda: (folder / "nginx.log").read_text())
        yield origin
    finally:
        server.terminate()
        server.wait(10)


def _answers(origin: str) -> bool:
    try:
        return requests.get(f"{origin}/api/ping", timeout=5).status_code == 200
    except requests.RequestException:
        return False


@pytest.fixture
def way_a(new_service: NewService, page_origin: str) -> Service:
    """An open API for this page's origin."""
    service = new_service(**settings_of("A", page_origin))
    service.start()
    return service


@pytest.fixture
def way_b(new_service: NewService, page_origin: str, tmp_path: Path) -> Iterator[tuple[Service, str]]:
    """An API that asks for tokens, and the origin of the proxy that adds an operator's."""
    service = new_service(**settings_of("B", page_origin))
    service.start()
    made = service.cloudx("tokens", "add", "frontend", "--role", "operator", "--json")
    assert made.returncode == 0, made.stderr
    folder = tmp_path / "nginx"
    folder.mkdir()
    with nginx_of_the_recipe(folder, service, json.loads(made.stdout)["token"]) as origin:
        yield service, origin


def test_an_open_api_on_loopback_serves_the_frontend(way_a: Service, browser: Page, page_origin: str) -> None:
    require_all_worked(told_by(browser, page_origin, way_a.url))


def test_a_proxy_that_adds_the_token_serves_the_frontend(
    way_b: tuple[Service, str], browser: Page, page_origin: str
) -> None:
    service, proxy = way_b
    require_all_worked(told_by(browser, page_origin, proxy))
    without = told_by(browser, page_origin, service.url)
    assert without["health"]["status"] == 200 and without["submit"]["status"] == 401, "the API itself asks for a token"


def test_a_page_that_the_proxy_serves_itself_needs_no_other_origin(
    new_service: NewService, browser: Page, tmp_path: Path
) -> None:
    service = new_service()
    service.start()
    with nginx_of_the_recipe(tmp_path, service, service.token) as proxy:
        require_all_worked(told_by(browser, proxy, ""))


def test_a_page_of_any_other_origin_reads_nothing_and_submits_nothing(way_a: Service, browser: Page) -> None:
    with serving_pages() as port:
        told = told_by(browser, f"http://127.0.0.1:{port}", way_a.url)
    assert {name for name, call in told.items() if "blocked" in call} == told.keys() >= {"submit", "monitor"}
    assert requests.get(f"{way_a.url}/api/scans", timeout=30).json() == []


def test_an_open_api_called_by_a_name_that_somebody_pointed_at_it_answers_403_with_the_remedy(way_a: Service) -> None:
    port = way_a.port
    for host, status in (
        (f"127.0.0.1:{port}", 200), (f"localhost:{port}", 200), (f"[::1]:{port}", 200),
        (f"rebound.example:{port}", 403), ("127.0.0.1.rebound.example", 403),
    ):  # fmt: skip
        answer = requests.get(f"{way_a.url}/api/scans", headers={"Host": host}, timeout=30)
        assert answer.status_code == status, host
        assert status == 200 or "CLOUDX_AUTH=token" in answer.json()["error"]


def test_the_proxy_answers_no_name_but_its_own_and_overrides_a_token_of_the_browser(way_b: tuple[Service, str]) -> None:
    _, proxy = way_b
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{proxy}/api/scans", headers={"Host": "rebound.example"}, timeout=30)
    answer = requests.get(f"{proxy}/api/scans", headers={"Authorization": "Bearer wrong"}, timeout=30)
    assert answer.status_code == 200
    forbidden = requests.get(f"{proxy}/api/tokens", timeout=30)
    assert forbidden.status_code == 403, "an operator's token, not the admin's"


def test_the_proxy_takes_as_much_as_the_api_does(way_b: tuple[Service, str]) -> None:
    _, proxy = way_b
    targets = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(0, 200_000, 2)]
    assert len(json.dumps(targets)) > 1 << 20, "nginx takes no more by itself"
    answer = requests.post(f"{proxy}/api/scans", json={"targets": targets, "tool": "nmap"}, timeout=120)
    assert answer.status_code == 202, answer.text[:300]
    stopped = requests.post(f"{proxy}/api/scans/{answer.json()['job_id']}/stop", timeout=60)
    assert stopped.status_code == 200
