"""A user who takes all that there is: ten others begin while the chunk under way is still sent. Needs root."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
import requests

from fixtures.servers.network import TARGETS, Network
from fixtures.servers.service import Service, service_inside
from rig.waiting import until

HIGHEST_PPS = 10_000_000
LIMIT_PPS = 4_000
# A chunk of the hog's lasts a minute, so that who waits for its end is seen to wait on any machine.
SETTINGS = {"CLOUDX_NODE_RATE_LIMIT_PPS": str(LIMIT_PPS), "CLOUDX_CHUNK_SECONDS": "60"}
USERS = 10


@pytest.fixture(scope="module")
def install(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_inside(network, tmp_path_factory.mktemp("turns") / "data", **SETTINGS) as running:
        yield running


class User:
    """An operator with a token of his own."""

    def __init__(self, install: Service, name: str) -> None:
        made = install.call("POST", "/api/tokens", json={"name": name, "role": "operator"})
        assert made.status_code == 201, made.text
        self._install, self.name, self._token = install, name, made.json()["token"]

    def submit(self, **body: object) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._token}"}
        return requests.post(f"{self._install.url}/api/scans", json=body, headers=headers, timeout=30)

    def scan(self, **body: object) -> str:
        answer = self.submit(**body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])


@pytest.fixture
def hog(install: Service) -> Iterator[str]:
    """A scan of all that there is at the highest rate, with a chunk under way."""
    scan_id = User(install, "hal").scan(target=TARGETS, tool="masscan", ports="1-1000", rate=HIGHEST_PPS)
    until(lambda: install.show(scan_id)["chunks"]["leased"] == 1, 20, lambda: install.show(scan_id))
    yield scan_id
    install.call("POST", f"/api/scans/{scan_id}/stop")
    install.wait_for(scan_id)


def has_begun(install: Service, scan_id: str) -> bool:
    return install.show(scan_id)["started_at"] is not None


def test_ten_users_begin_beside_a_hog_before_its_chunk_ends(install: Service, hog: str) -> None:
    tools = ("nmap", "masscan")
    scans = [
        User(install, f"user{n}").scan(target=f"10.77.9.{n}", tool=tools[n % 2], ports="1-200") for n in range(USERS)
    ]
    for scan_id in scans:
        until(partial(has_begun, install, scan_id), 50, partial(install.show, scan_id))
    chunks = install.show(hog)["chunks"]
    assert (chunks["done"], chunks["leased"]) == (0, 1), "they waited for the hog"
    assert [install.wait_for(scan_id)["status"] for scan_id in scans] == ["completed"] * USERS


def test_who_has_to_wait_is_told_for_whom(install: Service, hog: str) -> None:
    waits = User(install, "ann").scan(target=TARGETS, tool="masscan", ports="1-1000", rate=HIGHEST_PPS)
    until(lambda: "of token:hal" in (install.show(waits)["waiting_reason"] or ""), 20, lambda: install.show(waits))
    said = install.show(waits)["waiting_reason"]
    assert said.startswith(f"It waits for its turn: the nodes send for scan {hog} of token:hal. Add nodes or stop")
    install.call("POST", f"/api/scans/{waits}/stop")


def test_nobody_but_an_admin_goes_before_everybody(install: Service) -> None:
    answer = User(install, "eve").submit(target="10.77.9.1", tool="nmap", ports="80", priority=1)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "A priority above 0 is an admin's to give" in answer.json()["error"]
    body = {"target": "10.77.9.1", "tool": "nmap", "ports": "80", "priority": 1}
    assert install.call("POST", "/api/scans", json=body).status_code == 202
