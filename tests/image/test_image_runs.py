"""The image as API, as worker and as both, run for real. Needs root, Docker and the package registries."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from fixtures.servers.containers import Container, docker
from rig.waiting import until

Start = Callable[..., Container]
READ_ONLY = ("--read-only", "--security-opt", "no-new-privileges", "--cap-drop", "ALL")
NO_CAPABILITY, NET_RAW_ALONE = "0000000000000000", "0000000000002000"


def capabilities(container: Container) -> dict[str, str]:
    """The sets of its first process, by name."""
    status = container.run("grep", "^Cap", "/proc/1/status")
    return dict(line.split(":\t") for line in status.splitlines())


def test_with_no_environment_at_all_it_answers_and_its_healthcheck_turns_healthy(start_api: Start) -> None:
    api = start_api("--health-interval", "1s")
    until(lambda: api.state("State.Health.Status") == "healthy", 20, api.logs)
    assert api.get("/api/ping").json() == {"status": "pong"}


def test_the_healthcheck_fails_where_nothing_answers_and_follows_port(start: Start) -> None:
    api = start("--env", "PORT=5055", "--health-interval", "1s")
    until(lambda: api.state("State.Health.Status") == "healthy", 30, api.logs)
    with pytest.raises(AssertionError, match="Connection refused"):
        api.run("env", "PORT=5056", "/app/container-health")


def test_the_token_that_the_first_start_prints_opens_the_api_and_nothing_else_does(start_api: Start) -> None:
    api = start_api()
    assert api.get("/api/scans").status_code == 401
    assert api.get("/api/scans", "cx_not-this-one").status_code == 401
    answer = api.get("/api/scans", api.token())
    assert (answer.status_code, answer.json()) == (200, [])


def test_the_token_outlives_the_container_in_the_volume_and_is_printed_once(start_api: Start, volume: str) -> None:
    first = start_api("--volume", f"{volume}:/var/lib/cloudx")
    token = first.token()
    assert first.stop() == 0
    second = start_api("--volume", f"{volume}:/var/lib/cloudx")
    assert token not in second.logs()
    assert second.get("/api/scans", token).status_code == 200


@pytest.mark.parametrize("user", ["0:0", "4711:4711"])
def test_the_api_runs_read_only_as_any_user_without_any_capability(start_api: Start, user: str) -> None:
    api = start_api(*READ_ONLY, "--user", user)
    assert set(capabilities(api).values()) == {NO_CAPABILITY}
    assert api.get("/api/scans", api.token()).status_code == 200


def test_the_api_stops_within_the_grace_and_says_that_it_did_so_in_order(start_api: Start) -> None:
    assert start_api().stop() == 0


SCANS = [
    {"tool": "nmap", "scan_type": "default", "ports": "5000-5001"},
    {"tool": "masscan", "scan_type": "tcp_scan", "ports": "5000-5001"},
    {"tool": "zmap", "scan_type": "tcp_syn", "ports": "5001"},
]


def test_a_worker_with_net_raw_alone_runs_all_three_scanners(start_api: Start, start: Start, volume: str) -> None:
    shared = ("--volume", f"{volume}:/var/lib/cloudx", *READ_ONLY)
    api = start_api(*shared)
    worker = start(*shared, "--cap-add", "NET_RAW", "--no-healthcheck", command=("cloudx", "worker"))
    until(lambda: api.get("/api/nodes", api.token()).json(), 20, worker.logs)
    held = capabilities(worker)
    assert (held["CapEff"], held["CapBnd"]) == (NET_RAW_ALONE, NET_RAW_ALONE)

    ids = [submit(api, body) for body in SCANS]
    until(lambda: all(is_over(api, scan) for scan in ids), 60, worker.logs)
    for scan in ids:
        assert open_ports(api, scan) == [(api.address(), 5001)]
    assert worker.stop() == 0


def submit(api: Container, body: dict[str, str]) -> str:
    """A scan of the API's own container; its id."""
    answer = api.call("POST", "/api/scans", api.token(), json={"target": api.address(), **body})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def is_over(api: Container, scan: str) -> bool:
    """Whether it has completed; fails when it failed."""
    shown = api.get(f"/api/scans/{scan}", api.token()).json()
    assert shown["status"] not in ("failed", "stopped"), shown
    return bool(shown["status"] == "completed")


def open_ports(api: Container, scan: str) -> list[tuple[str, int]]:
    """What it found open."""
    items = api.get(f"/api/scans/{scan}/results?format=json", api.token()).json()["items"]
    return [(item["ip"], item["port"]) for item in items if item["state"] == "open"]


def test_up_in_one_container_scans_its_own_loopback_by_the_command_line(start: Start) -> None:
    both = start(*READ_ONLY, "--cap-add", "NET_RAW", command=("cloudx", "up"))
    docker("exec", "--detach", both.name, "python", "-m", "http.server", "8123")
    until(lambda: "Cloud-X runs at" in both.logs(), 30, both.logs)
    printed = both.run("cloudx", "scan", "127.0.0.1", "--tool", "nmap", "--ports", "8100-8200", "--wait", "--json")
    assert '"completed"' in printed
    scan = json.loads(both.run("cloudx", "scans", "--json"))[0]["job_id"]
    found = json.loads(both.run("cloudx", "results", scan, "--format", "json"))
    assert [item["port"] for item in found if item["state"] == "open"] == [8123]
    assert both.stop() == 0
