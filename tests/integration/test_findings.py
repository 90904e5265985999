"""Real scans of loopback, before and after a listener closed, and what `cloudx findings` and the API find of them."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
from typing import Any

import pytest

from fixtures.servers.service import Service

ADDRESS = "127.0.0.1"


def scan(service: Service, *ports: int) -> str:
    scan_id = service.scan(target=ADDRESS, tool="nmap", ports=",".join(map(str, sorted(ports))))
    assert service.wait_for(scan_id)["status"] == "completed"
    return scan_id


def open_now(service: Service, *ports: int, **query: Any) -> dict[int, str]:
    """The scan that found each of these ports last, asked for at once."""
    query |= {"ip": ADDRESS, "port": ",".join(map(str, ports))}
    answer = service.call("GET", "/api/findings", params=query)
    assert answer.status_code == 200, answer.text
    return {one["port"]: one["scan_id"] for one in answer.json()["items"]}


def test_who_waits_for_a_scan_to_end_finds_what_is_open_and_what_closed_is_gone(service: Service) -> None:
    stays, closes = (socket.create_server((ADDRESS, 0)) for _ in range(2))
    port, other = (int(one.getsockname()[1]) for one in (stays, closes))
    with stays:
        with closes:
            first = scan(service, port, other)
            assert open_now(service, port, other) == {port: first, other: first}
        second = scan(service, port, other)
        assert open_now(service, port, other) == {port: second}
        assert set(open_now(service, port, other, scan=first, latest="false")) == {port, other}

        shown = service.cloudx("findings", "--ip", ADDRESS, "--port", f"{port},{other}")
        assert shown.returncode == 0, shown.stderr
        assert re.search(rf"127\.0\.0\.1 +{port}/tcp +open", shown.stdout)
        assert f"{other}/tcp" not in shown.stdout
        everything = service.cloudx("findings", "--port", f"{port},{other}", "--all", "--json")
        assert len(json.loads(everything.stdout)) == 3
        as_csv = service.cloudx("findings", "--scan", second, "--format", "csv")
        assert [row["port"] for row in csv.DictReader(io.StringIO(as_csv.stdout))] == [str(port)]


@pytest.mark.parametrize(("arguments", "exit_code", "says"), [
    (("--ip", "10.0.0.0/24"), 2, "cidr"),
    (("--port", "x"), 2, "port"),
    (("--protocol", "gre"), 2, "protocol"),
    (("--since", "yesterday"), 2, "since"),
    (("--scan", "../x"), 2, "is not an id"),
    (("--format", "xml"), 2, "--format"),
])  # fmt: skip
def test_wrong_usage_ends_with_2_and_names_what_is_wrong(
    service: Service, arguments: tuple[str, ...], exit_code: int, says: str
) -> None:
    done = service.cloudx("findings", *arguments)
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert says in done.stderr


def test_nothing_found_is_no_failure(service: Service) -> None:
    done = service.cloudx("findings", "--hostname", "nowhere.invalid")
    assert (done.returncode, done.stdout) == (0, "")
    assert "No scan has found" in done.stderr
