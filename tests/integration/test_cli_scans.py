"""The scan commands as real processes against a running install: nmap on loopback."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import socket
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fixtures.servers.service import CLOUDX, Service, free_port
from fixtures.terminal import Terminal
from rig.waiting import until

# A minute at least: each is stopped or deleted long before its end, on a busy machine too.
SLOW = ("127.0.0.0/24", "--type", "quick", "--rate", "4")


@pytest.fixture(scope="module")
def open_port() -> Iterator[int]:
    """A real open port of loopback."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def finished(service: Service, open_port: int) -> str:
    """The id of a completed scan with one open port."""
    done = service.cloudx("scan", "127.0.0.1", "--ports", f"{open_port},{free_port()}", "--name", "known", "--json")
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["job_id"])


@pytest.fixture
def on_terminal(service: Service) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def run(*arguments: str) -> Terminal:
        opened.append(Terminal([*CLOUDX, *arguments], service.env))
        return opened[-1]

    yield run
    for terminal in opened:
        terminal.close()


def _slow_scan_id(service: Service, open_port: int) -> str:
    started = service.cloudx("scan", *SLOW, "--ports", str(open_port), "--no-wait")
    assert started.returncode == 0, started.stderr
    return started.stdout.strip()


def test_a_scan_waits_and_prints_the_real_open_port_and_the_proof(service: Service, open_port: int) -> None:
    done = service.cloudx("scan", "127.0.0.1", "--tool", "nmap", "--ports", f"{open_port},{free_port()}")
    assert done.returncode == 0, done.stderr
    assert re.search(rf"127\.0\.0\.1 +{open_port}/tcp +open", done.stdout)
    assert "coverage: 1 host planned = 1 completed + 0 excluded + 0 failed" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_on_a_terminal_a_bar_moves_to_the_end_and_gives_way_to_the_table(
    on_terminal: Callable[..., Terminal], open_port: int
) -> None:
    terminal = on_terminal("scan", "127.0.0.1-127.0.0.40", "--type", "quick", "--ports", str(open_port), "--rate", "20")
    assert terminal.finish() == 0
    shown = [float(percent) for percent in re.findall(r"([\d.]+) %", terminal.plain)]
    assert len(set(shown)) >= 4, terminal.plain[-2000:]
    assert shown == sorted(shown)
    assert "of 40 hosts" in terminal.plain
    assert re.search(rf"127\.0\.0\.1 +{open_port}/tcp +open", terminal.plain)
    assert terminal.text.rfind("\x1b[?25h") > terminal.text.rfind("\x1b[?25l")  # the cursor is back


def test_ctrl_c_ends_the_watching_says_how_to_stop_and_leaves_the_scan_running(
    service: Service, on_terminal: Callable[..., Terminal], open_port: int
) -> None:
    terminal = on_terminal("scan", *SLOW, "--ports", str(open_port))
    terminal.read_until(lambda: "hosts" in terminal.plain, 30)
    terminal.press_ctrl_c()
    assert terminal.finish(10) == 1
    scan_id = re.search(r"cloudx stop ([0-9a-f-]{36})", terminal.plain.replace("\n", ""))
    assert scan_id, terminal.plain
    assert "Traceback" not in terminal.plain
    assert service.show(scan_id[1])["status"] == "running"
    stopped = service.cloudx("stop", scan_id[1])
    assert (stopped.returncode, service.show(scan_id[1])["status"]) == (0, "stopped")


def test_sigterm_leaves_the_terminal_in_order_too(
    service: Service, on_terminal: Callable[..., Terminal], open_port: int
) -> None:
    terminal = on_terminal("scan", *SLOW, "--ports", str(open_port))
    terminal.read_until(lambda: "hosts" in terminal.plain, 30)
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.finish(10) == 1
    assert terminal.text.rfind("\x1b[?25h") > terminal.text.rfind("\x1b[?25l")
    service.cloudx("stop", "last")


def test_watching_a_scan_that_is_stopped_by_another_ends_with_1(service: Service, open_port: int) -> None:
    scan_id = _slow_scan_id(service, open_port)
    watching = subprocess.Popen(
        [*CLOUDX, "show", scan_id, "--wait"], env=service.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until(lambda: service.show(scan_id)["status"] == "running", 30)
    assert service.cloudx("stop", scan_id, "--json").returncode == 0
    out, _ = watching.communicate(timeout=30)
    assert watching.returncode == 1
    assert "stopped" in out
    assert "not finished" in out


def test_without_a_terminal_progress_is_plain_lines_on_standard_error(service: Service, open_port: int) -> None:
    scan_id = _slow_scan_id(service, open_port)
    until(lambda: service.show(scan_id)["status"] == "running", 30)
    watching = subprocess.Popen(
        [*CLOUDX, "show", "last", "--wait", "--json"],
        env=service.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stderr is not None
    line = watching.stderr.readline()
    service.cloudx("stop", scan_id)
    out, rest = watching.communicate(timeout=30)
    assert re.match(r"running [\d.]+ %: \d+ of 256 hosts", line)
    assert (json.loads(out)["status"], watching.returncode) == ("stopped", 1)
    assert "\x1b" not in line + rest


def test_a_watching_command_outlives_the_api_that_is_killed_and_started_again(
    new_service: Callable[..., Service], open_port: int
) -> None:
    own = new_service()
    own.start()
    watching = subprocess.Popen(
        [*CLOUDX, "scan", "127.0.0.1-60", "--type", "quick", "--rate", "20", "--ports", str(open_port)],
        env=own.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: own.call("GET", "/api/scans?status=running").json(), 30)
    own.kill_everything()
    with pytest.raises(subprocess.TimeoutExpired):
        watching.wait(3)
    own.start()
    out, said = watching.communicate(timeout=90)
    assert watching.returncode == 0, said
    assert "Trying again; the scan goes on." in said
    assert "60 hosts planned = 60 completed + 0 excluded + 0 failed" in out


def test_no_wait_prints_the_id_alone_and_json_the_answer_of_the_api(service: Service, open_port: int) -> None:
    scan_id = _slow_scan_id(service, open_port)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", scan_id)
    assert service.cloudx("delete", scan_id).returncode == 0
    told = service.cloudx("scan", *SLOW, "--ports", str(open_port), "--no-wait", "--json")
    assert set(json.loads(told.stdout)) == {"job_id", "status"}
    gone = service.cloudx("delete", "last", "--json")
    assert "message" in json.loads(gone.stdout)
    assert service.cloudx("show", json.loads(told.stdout)["job_id"]).returncode == 1


def test_every_option_reaches_the_scan(service: Service, open_port: int) -> None:
    done = service.cloudx(
        *("scan", "127.0.0.1-8", "127.0.0.20", "--tool", "nmap", "--type", "tcp", "--ports", str(open_port)),
        *(
            "--exclude",
            "127.0.0.2",
            "--exclude",
            "127.0.0.3-4",
            "--priority",
            "7",
            "--rate",
            "900",
            "--name",
            "all of it",
        ),
        "--json",
    )
    shown = json.loads(done.stdout)
    assert (shown["scan_type"], shown["priority"], shown["rate"], shown["name"]) == ("tcp", 7, 900, "all of it")
    assert (shown["coverage"]["planned"], shown["coverage"]["excluded"]) == (9, 3)
    assert done.returncode == 0


def test_scans_lists_and_filters(service: Service, finished: str) -> None:
    listed = service.cloudx("scans")
    assert re.search(rf"{finished} +completed +\d+[smh] +nmap default +127\.0\.0\.1", listed.stdout)
    running = json.loads(service.cloudx("scans", "--status", "completed", "--tool", "nmap", "--json").stdout)
    assert finished in [scan["job_id"] for scan in running]
    assert json.loads(service.cloudx("scans", "--tool", "zmap", "--json").stdout) == []
    assert len(json.loads(service.cloudx("scans", "--limit", "1", "--json").stdout)) == 1


def test_show_proves_the_coverage_and_names_chunks_and_workers(service: Service, finished: str) -> None:
    shown = service.cloudx("show", finished)
    assert "1 host planned = 1 completed + 0 excluded + 0 failed" in shown.stdout
    assert "1 done, 0 leased, 0 pending, 0 failed" in shown.stdout
    assert re.search(r"workers +\S+ \(1 chunk done\)", shown.stdout)
    assert "known" in shown.stdout


def test_results_come_in_every_format(service: Service, finished: str, open_port: int, tmp_path: Path) -> None:
    def read(name: str, *more: str) -> str:
        written = service.cloudx("results", finished, "-o", str(tmp_path / name), *more)
        assert (written.returncode, written.stdout) == (0, ""), written.stderr
        return (tmp_path / name).read_text()

    [found] = json.loads(read("x.json"))
    assert (found["ip"], found["port"], found["state"], found["scan_id"]) == ("127.0.0.1", open_port, "open", finished)
    assert [json.loads(line) for line in read("x.ndjson").splitlines()] == [found]
    [row] = csv.DictReader(read("x.csv").splitlines())
    assert (row["ip"], row["port"]) == ("127.0.0.1", str(open_port))
    [element] = ElementTree.fromstring(read("named-otherwise", "--format", "xml")).iter("port")
    assert element.get("portid") == str(open_port)
    assert json.loads(service.cloudx("results", finished, "--json").stdout) == [found]
    assert f"{open_port}/tcp" in service.cloudx("results", finished).stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["named-otherwise", "x.csv", "x.json", "x.ndjson"]


def test_a_scan_that_found_nothing_says_so_and_its_json_is_an_empty_array(service: Service) -> None:
    done = service.cloudx("scan", "127.0.0.1", "--ports", str(free_port()))
    assert done.returncode == 0
    assert "found nothing open" in done.stderr
    assert json.loads(service.cloudx("results", "last", "--json").stdout) == []


def test_a_folder_that_is_not_there_is_an_error_with_a_remedy(service: Service, finished: str, tmp_path: Path) -> None:
    typed = str(tmp_path / "no" / "x.csv")
    refused = service.cloudx("results", finished, "-o", typed)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: {typed}: No such file or directory")


def test_a_full_disk_leaves_no_half_file(service: Service, finished: str) -> None:
    refused = service.cloudx("results", finished, "--format", "csv", "-o", "/dev/full")
    assert refused.returncode == 1
    assert "No space left" in refused.stderr


def test_a_reader_that_leaves_early_gets_no_traceback(service: Service, finished: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    left = subprocess.run(
        [*CLOUDX, "scans", "--json"], env=service.env, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=30
    )
    os.close(writing)
    assert (left.returncode, left.stderr) == (1, "")


def test_a_list_is_read_from_a_file_with_its_comments_and_byte_order_mark(
    service: Service, open_port: int, tmp_path: Path
) -> None:
    listed = tmp_path / "targets"
    listed.write_bytes(b"\xef\xbb\xbf127.0.0.1\r\n# lab\r\n127.0.0.2 # printer\r\n")
    done = service.cloudx("scan", "-f", str(listed), "--ports", str(open_port), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["coverage"]["completed"] == 2


def test_a_list_is_read_from_standard_input(service: Service, open_port: int) -> None:
    command = [*CLOUDX, "scan", "-", "127.0.0.3", "--ports", str(open_port), "--json"]
    lines = "127.0.0.1\n127.0.0.2,\n"
    done = subprocess.run(
        command, env=service.env, input=lines, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["coverage"]["planned"] == 3


def test_no_target_and_a_list_that_is_not_there_are_refused_in_one_line(service: Service, tmp_path: Path) -> None:
    nothing = service.cloudx("scan", "--ports", "80")
    assert (nothing.returncode, nothing.stderr.count("\n")) == (2, 1)
    assert "--file FILE. (invalid_input)" in nothing.stderr
    missing = service.cloudx("scan", "-f", str(tmp_path / "missing"))
    assert missing.returncode == 2
    assert "cannot be read (No such file or directory)" in missing.stderr
