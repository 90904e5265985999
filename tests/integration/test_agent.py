"""`cloudx agent` as a process of its own: registers at a real API, serves its checks, leaves tidily."""

from __future__ import annotations

import subprocess

import pytest
import requests

from fixtures.servers.gunicorn import NODE_TOKEN
from fixtures.servers.service import CLOUDX, free_port
from rig.environment import clean_environment
from rig.waiting import until


def test_an_agent_reports_its_machine_serves_its_checks_and_leaves_tidily(shared_gunicorn, tmp_path):
    port = free_port()
    own = {"PRIMARY_NODE_URL": shared_gunicorn.url, "CLOUDX_NODE_TOKEN": NODE_TOKEN, "NODE_ID": "agent-under-test"}
    log = tmp_path / "agent.log"
    with open(log, "wb") as said:
        process = subprocess.Popen(
            [*CLOUDX, "agent", "--checks", f"127.0.0.1:{port}"],
            env=clean_environment(**own, CLOUDX_VERSION="9.9-test"), stdout=said, stderr=said,
        )  # fmt: skip

    def node() -> dict[str, object]:
        found = [n for n in shared_gunicorn.get("/api/nodes").json() if n["node_id"] == "agent-under-test"]
        return found[0] if found else {}

    try:
        # Two API processes answer, each with a view of its own that the beat reaches within a second.
        until(lambda: (node().get("status"), node().get("version")) == ("healthy", "9.9-test"), 20, log.read_text)
        beat = requests.get(f"http://127.0.0.1:{port}/checks/heartbeat", timeout=5)
        assert (beat.status_code, beat.text) == (200, "heartbeats are accepted\n")
        clock = requests.get(f"http://127.0.0.1:{port}/checks/clock", timeout=5)
        assert (clock.status_code, clock.text) == (200, "within 2 s of the API's clock\n")
        listed = requests.get(f"http://127.0.0.1:{port}/checks/", timeout=5).text
        for name in ("raw-socket", "offloads", "tool-nmap", "tool-masscan", "tool-zmap"):
            assert f"/checks/{name}" in listed
    finally:
        process.terminate()
        assert process.wait(15) == 0
    until(lambda: node().get("status") == "offline", 10)


@pytest.mark.parametrize(
    ("arguments", "settings", "says"),
    [
        ([], {}, "PRIMARY_NODE_URL: an agent needs the API's address"),
        (["--checks", "here"], {"PRIMARY_NODE_URL": "http://127.0.0.1:1"}, "takes HOST:PORT"),
        (["--checks", "192.0.2.1:7000"], {"PRIMARY_NODE_URL": "http://127.0.0.1:1"}, "192.0.2.1:7000 cannot be used"),
    ],
)
def test_an_agent_that_cannot_start_says_why_in_one_line_and_ends_with_2(arguments, settings, says):
    done = subprocess.run(
        [*CLOUDX, "agent", *arguments], env=clean_environment(**settings), capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 2 and says in done.stderr and len(done.stderr.strip().splitlines()) == 1
