"""Two real scans of loopback, before and after a listener closed, and what `cloudx diff` and the API tell of them."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.servers.service import Service, free_port

ADDRESS = "127.0.0.1"


class Ports:
    """Four ports of loopback: one stays open, one closes, one opens, one is asked for by the first scan alone."""

    def __init__(self) -> None:
        self.stays, self.closes, self.left_out = (socket.create_server((ADDRESS, 0)) for _ in range(3))
        self.opens = free_port()


def number_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def scanned(service: Service) -> Iterator[tuple[str, str, dict[str, int]]]:
    """The ids of both scans, and the ports by what became of them."""
    ports = Ports()
    numbers = {
        "unchanged": number_of(ports.stays),
        "closed": number_of(ports.closes),
        "not_observed": number_of(ports.left_out),
        "opened": ports.opens,
    }
    before = _scan(service, numbers.values())
    ports.closes.close()
    with socket.create_server((ADDRESS, ports.opens)):
        after = _scan(service, (number for name, number in numbers.items() if name != "not_observed"))
    yield before, after, numbers
    ports.stays.close()
    ports.left_out.close()


def _scan(service: Service, ports: Any) -> str:
    scan_id = service.scan(target=ADDRESS, tool="nmap", ports=",".join(map(str, sorted(ports))))
    assert service.wait_for(scan_id)["status"] == "completed"
    return scan_id


def test_each_port_is_what_became_of_it(service: Service, scanned: tuple[str, str, dict[str, int]]) -> None:
    before, after, ports = scanned
    page = service.call("GET", f"/api/scans/{before}/diff/{after}").json()
    assert {one["change"]: one["port"] for one in page["items"]} == {
        name: port for name, port in ports.items() if name != "unchanged"
    }
    assert page["summary"] == {"opened": 1, "closed": 1, "changed": 0, "unchanged": 1, "not_observed": 1}
    assert [one["port"] for one in page["items"]] == sorted(one["port"] for one in page["items"])


def test_in_the_other_order_opened_and_closed_change_places(
    service: Service, scanned: tuple[str, str, dict[str, int]]
) -> None:
    before, after, ports = scanned
    items = service.call("GET", f"/api/scans/{after}/diff/{before}").json()["items"]
    assert {(one["change"], one["port"]) for one in items} == {
        ("closed", ports["opened"]), ("opened", ports["closed"]), ("opened", ports["not_observed"]),
    }  # fmt: skip


def test_the_command_prints_a_table_with_the_counts_and_what_nobody_can_tell(
    service: Service, scanned: tuple[str, str, dict[str, int]]
) -> None:
    before, after, ports = scanned
    shown = service.cloudx("diff", before, after)
    assert shown.returncode == 0, shown.stderr
    assert re.search(rf"closed +127\.0\.0\.1 +{ports['closed']}/tcp +open\b.* -", shown.stdout)
    assert re.search(rf"opened +127\.0\.0\.1 +{ports['opened']}/tcp +- +open\b", shown.stdout)
    assert f"{ports['unchanged']}/tcp" not in shown.stdout
    assert "1 opened, 1 closed, 0 changed, 1 unchanged, 1 not observed" in shown.stdout
    assert "did not complete a probe" in shown.stderr


def test_every_format_of_the_command_has_every_change(
    service: Service, scanned: tuple[str, str, dict[str, int]], tmp_path: Path
) -> None:
    before, after, _ = scanned
    page = service.call("GET", f"/api/scans/{before}/diff/{after}").json()
    assert json.loads(service.cloudx("diff", before, after, "--json").stdout) == page
    lines = service.cloudx("diff", before, after, "--format", "ndjson").stdout.splitlines()
    assert [json.loads(line) for line in lines] == page["items"]
    written = service.cloudx("diff", before, after, "-o", str(tmp_path / "diff.csv"))
    assert written.returncode == 0 and "Written to" in written.stderr
    rows = csv.DictReader(io.StringIO((tmp_path / "diff.csv").read_text()))
    assert [(row["change"], int(row["port"])) for row in rows] == [
        (one["change"], one["port"]) for one in page["items"]
    ]


def test_a_filter_and_a_limit_shorten_the_table(service: Service, scanned: tuple[str, str, dict[str, int]]) -> None:
    before, after, ports = scanned
    shown = service.cloudx("diff", before, after, "--change", "opened,not_observed", "--limit", "1")
    assert shown.returncode == 0
    assert f"{ports['closed']}/tcp" not in shown.stdout
    assert len(re.findall(r"127\.0\.0\.1", shown.stdout)) == 1
    assert f"cloudx diff {before} {after} --format csv" in shown.stderr


@pytest.mark.parametrize(("arguments", "exit_code", "says"), [
    (("diff", "last"), 2, "--help"),
    (("diff", "last", "last", "--change", "vanished"), 2, "change"),
    (("diff", "last", "last", "--format", "xml"), 2, "--format"),
    (("diff", "last", "last", "-o", "x.xml"), 2, "XML"),
    (("diff", "last", "../x"), 2, "is not an id"),
    (("diff", "00000000-0000-7000-8000-000000000001", "last"), 1, "00000000-0000-7000-8000-000000000001"),
])  # fmt: skip
def test_wrong_usage_ends_with_2_and_a_scan_that_is_not_there_with_1(
    service: Service, scanned: object, arguments: tuple[str, ...], exit_code: int, says: str
) -> None:
    done = service.cloudx(*arguments)
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert says in done.stderr


def test_nmaps_own_choice_of_ports_is_closed_by_the_same_choice(service: Service) -> None:
    """Without ports, on one that is among its hundred most common."""
    scans = []
    with _listener_among_common_ports() as listener:
        port = number_of(listener)
        scans.append(_default_scan(service))
    scans.append(_default_scan(service))
    items = service.call("GET", f"/api/scans/{scans[0]}/diff/{scans[1]}").json()["items"]
    assert ("closed", port) in {(one["change"], one["port"]) for one in items}


def _default_scan(service: Service) -> str:
    scan_id = service.scan(target=ADDRESS, tool="nmap", scan_type="quick")
    assert service.wait_for(scan_id)["status"] == "completed"
    return scan_id


def _listener_among_common_ports() -> socket.socket:
    for port in (8888, 8081, 8008, 8000, 9999, 32768, 49152):  # of nmap's --top-ports 100
        try:
            return socket.create_server((ADDRESS, port))
        except OSError:
            continue
    pytest.fail("all of these ports are taken")
