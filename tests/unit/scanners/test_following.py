"""RunProgress from what each tool writes, through real pipes, and its last words."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.scanners.masscan.scanner import Masscan
from cloudx.scanners.nmap.progress import NmapProgress
from cloudx.scanners.nmap.scanner import Nmap
from cloudx.scanners.runs.output_streams import Lines
from cloudx.scanners.zmap.scanner import ACCOUNT_FILE, RESULTS_FILE, Zmap
from cloudx.services.chunks.scanner_port import Assignment, RunProgress, Scanner, TakenIn
from fixtures.assignments import assign

SENDING = b"rate:  0.30-kpps, 61.33% done,   0:00:03 remaining, found=432       \r"
BACK = b"rate:  0.30-kpps, 60.00% done,   0:00:03 remaining, found=432       \r"
WAITING = b"rate:  0.00-kpps, 100.00% done, waiting 2-secs, found=646       \r"
INTERRUPTED = b"rate:  0.00-kpps,  9.77% done, waiting 1-secs, found=27       \r"


def shares(steps: list[RunProgress]) -> list[tuple[float, bool]]:
    """What was sent and whether that is all, without the moment at which it is expected to be."""
    return [(step.sent_share, step.sending_done) for step in steps]


def follow(scanner: Scanner, assignment: Assignment, folder: Path, out: bytes, err: bytes) -> list[RunProgress]:
    """Feed a scanner's reader through pipes, as a process would."""
    ends = [os.pipe(), os.pipe()]
    writers = [
        threading.Thread(target=_write, args=(write, data)) for (_, write), data in zip(ends, (out, err), strict=True)
    ]
    for writer in writers:
        writer.start()
    steps = list(scanner.follow(assignment, folder, *(os.fdopen(read, "rb") for read, _ in ends)))
    for writer in writers:
        writer.join()
    return steps


def _write(descriptor: int, data: bytes) -> None:
    with os.fdopen(descriptor, "wb") as pipe:
        pipe.write(data)


MASSCAN = assign("masscan", "tcp_scan", ports="80")


def test_masscan_says_when_it_only_waits(tmp_path: Path) -> None:
    steps = follow(Masscan(), MASSCAN, tmp_path, b"", SENDING + BACK + WAITING)
    assert shares(steps) == [(0.6133, False), (0.6133, False), (1.0, True)]


@pytest.mark.parametrize(
    ("scanner", "assignment", "line", "left"),
    [
        (Masscan(), MASSCAN, SENDING, 1 - 0.6133),
        (Zmap(), assign("zmap", "tcp_syn", ports="80"), b" 0:01 22% (4s left); send: 64 63 p/s (63 p/s avg)\n", 0.75),
    ],
)
def test_it_is_known_beforehand_when_all_will_be_sent(
    tmp_path: Path, scanner: Scanner, assignment: Assignment, line: bytes, left: float
) -> None:
    started = time.monotonic()
    (step,) = follow(scanner, assignment, tmp_path, b"", line)
    assert step.ends_at is not None
    seconds_left = left * assignment.addresses.size / assignment.rate_pps
    assert started <= step.ends_at - seconds_left <= time.monotonic()


def test_a_masscan_that_was_interrupted_has_not_sent_everything(tmp_path: Path) -> None:
    steps = follow(Masscan(), MASSCAN, tmp_path, b"", INTERRUPTED)
    assert shares(steps) == [(0.0977, False)]
    (tmp_path / "results.ndjson").touch()
    assert not Masscan().succeeded(0, tmp_path)


@pytest.mark.parametrize(("exit_code", "succeeded"), [(0, True), (1, False), (-9, False)])
def test_masscan_succeeds_with_everything_sent_and_a_good_exit(tmp_path: Path, exit_code: int, succeeded: bool) -> None:
    follow(Masscan(), MASSCAN, tmp_path, b"", WAITING)
    (tmp_path / "results.ndjson").touch()
    assert Masscan().succeeded(exit_code, tmp_path) is succeeded


def test_zmap_says_when_it_only_waits(tmp_path: Path) -> None:
    err = (
        b" 0:00 0%; send: 0 0 p/s (0 p/s avg); recv: 0 0 p/s (0 p/s avg); drops: 0 p/s (0 p/s avg); hitrate: 0.00%\n"
        b" 0:01 22% (4s left); send: 64 63 p/s (63 p/s avg); recv: 9 9 p/s (9 p/s avg); hitrate: 14.06%\n"
        b" 0:02 65%; send: 256 done (98 p/s avg); recv: 56 58 p/s (84 p/s avg); hitrate: 21.88%\n"
    )
    steps = follow(Zmap(), assign("zmap", "tcp_syn", ports="80"), tmp_path, b"", err)
    assert shares(steps) == [(0.0, False), (0.25, False), (1.0, True)]
    (tmp_path / RESULTS_FILE).touch()
    (tmp_path / ACCOUNT_FILE).write_text('{"pcap_drop": 0, "success_total": 56}')
    assert Zmap().succeeded(0, tmp_path)
    assert Zmap().taken_in(tmp_path) == TakenIn(56, (tmp_path / ACCOUNT_FILE).stat().st_mtime)


@pytest.mark.parametrize("account", ['{"pcap_drop": 3, "success_total": 56}', '{"pcap_dr', ""])
def test_a_zmap_whose_capture_dropped_replies_or_that_does_not_say_has_not_succeeded(
    tmp_path: Path, account: str
) -> None:
    err = b" 0:02 65%; send: 256 done (98 p/s avg); recv: 56 58 p/s (84 p/s avg); hitrate: 21.88%\n"
    follow(Zmap(), assign("zmap", "tcp_syn", ports="80"), tmp_path, b"", err)
    (tmp_path / RESULTS_FILE).touch()
    (tmp_path / ACCOUNT_FILE).write_text(account)
    assert not Zmap().succeeded(0, tmp_path)


def test_a_zmap_that_stopped_early_has_not_succeeded(tmp_path: Path) -> None:
    err = b" 0:02 65%; send: 200 done (98 p/s avg); recv: 56 58 p/s (84 p/s avg); hitrate: 21.88%\n"
    follow(Zmap(), assign("zmap", "tcp_syn", ports="80"), tmp_path, b"", err)
    (tmp_path / RESULTS_FILE).touch()
    assert not Zmap().succeeded(0, tmp_path)


def test_zmap_rows_outside_the_chunk_and_half_rows_are_dropped(tmp_path: Path) -> None:
    rows = ["saddr,ttl,timestamp-ts", "198.51.100.3,64,1795538204", "198.51.100.3,64,1795538205"]
    (tmp_path / RESULTS_FILE).write_text("\n".join([*rows, "203.0.113.1,64,1795538204", "198."]))
    found = list(Zmap().findings(assign("zmap", "tcp_syn", ports="80"), tmp_path))
    assert [(finding.ip, finding.extra) for finding in found] == [("198.51.100.3", {"ttl": 64})]


def test_nmap_spools_its_xml_and_moves_by_phase_and_finished_hosts(tmp_path: Path) -> None:
    out = (
        b'<taskbegin task="Ping Scan" time="1"/>\n<taskend task="Ping Scan" time="2" extrainfo="2 total hosts"/>\n'
        b'<host><status state="down" reason="no-response" reason_ttl="0"/>\n</host>\n'
        b'<taskbegin task="SYN Stealth Scan" time="2"/>\n'
        b'<taskprogress task="SYN Stealth Scan" time="3" percent="50.00" remaining="7" etc="4"/>\n'
        b'<taskend task="SYN Stealth Scan" time="4" extrainfo="2000 total ports"/>\n<host starttime="2" endtime="4">'
    )
    steps = follow(Nmap(), assign("nmap", "default", "198.51.100.0/31"), tmp_path, out, b"")
    assert (tmp_path / "scan.xml").read_bytes() == out
    assert steps[-1] == RunProgress(1.0)


def test_both_streams_are_drained_however_much_they_carry(tmp_path: Path) -> None:
    follow(Nmap(), assign("nmap", "default"), tmp_path, b"<x/>" * 500_000, b"warning\n" * 500_000)
    assert (tmp_path / "scan.xml").stat().st_size == 2_000_000
    assert Nmap().last_words(tmp_path).endswith("warning | warning")


PIECES = [
    b'<taskbegin task="Ping Scan" time="1"/>',
    b'<taskbegin task="NSE" time="1"/>',
    b'<taskend task="NSE" time="1"/>',
    b'<taskbegin task="SYN Stealth Scan" time="1"/>',
    b'<taskprogress task="SYN Stealth Scan" time="3" percent="37.50" remaining="7" etc="4"/>',
    b'<taskend task="SYN Stealth Scan" time="1"/>',
    b'<taskprogress task="Service scan" time="3" percent="100.00"/>',
    b"<host>",
    b'<host starttime="1">',
    b"<hosthint>",
    b"<taskprogress task=",
    b'percent="99',
]


@given(
    st.sampled_from(["default", "intense", "vuln"]), st.lists(st.sampled_from(PIECES), max_size=40), st.integers(1, 50)
)
def test_nmap_progress_only_grows_and_never_passes_one(type_name: str, pieces: list[bytes], cut: int) -> None:
    progress, text = NmapProgress(type_name, 4), b"".join(pieces)
    steps = [progress.feed(text[at : at + cut]) for at in range(0, len(text), cut)]
    shares = [share for share in steps if share is not None]
    assert shares == sorted(set(shares))
    assert all(0 < share <= 1 for share in shares)


@given(st.lists(st.sampled_from(PIECES), max_size=40), st.integers(1, 50))
def test_nmap_progress_does_not_depend_on_how_its_output_is_cut(pieces: list[bytes], cut: int) -> None:
    text = b"\n".join(pieces)
    whole, cut_up = NmapProgress("intense", 4), NmapProgress("intense", 4)
    best = whole.feed(text) or 0.0
    shares = [cut_up.feed(text[at : at + cut]) or 0.0 for at in range(0, len(text), cut)]
    assert max(shares, default=0.0) >= best


def test_script_chatter_before_any_host_is_no_progress() -> None:
    progress = NmapProgress("vuln", 4)
    assert progress.feed(b'<taskbegin task="NSE" time="1"/><taskend task="NSE" time="1"/>') is None


@given(st.binary(max_size=2000), st.integers(1, 97))
def test_lines_come_out_whole_however_they_arrive(data: bytes, cut: int) -> None:
    lines = Lines()
    got = [line for at in range(0, len(data), cut) for line in lines.feed(data[at : at + cut])]
    *expected, _ = data.replace(b"\r", b"\n").split(b"\n")
    assert got == [line for line in expected if line]


@pytest.mark.parametrize(
    ("scanner", "assignment", "err", "words"),
    [
        (Masscan, MASSCAN, SENDING + b"\n[-] FAIL: failed to detect IP\n", "[-] FAIL: failed to detect IP"),
        (Masscan, MASSCAN, SENDING, ""),
        (Nmap, assign("nmap", "default"), b"QUITTING!\x1b[31m\0\xff\n", "QUITTING! [31m"),
        (Zmap, assign("zmap", "icmp_echo"), b"Nov 24 [INFO] zmap: x\nNov 24 [FATAL] no\n", "Nov 24 [FATAL] no"),
    ],
)
def test_last_words_are_the_tools_own_complaint_in_printable_text(
    tmp_path: Path, scanner: Callable[[], Scanner], assignment: Assignment, err: bytes, words: str
) -> None:
    follow(scanner(), assignment, tmp_path, b"", err)
    assert scanner().last_words(tmp_path) == words


def test_last_words_are_at_most_500_characters(tmp_path: Path) -> None:
    follow(Nmap(), assign("nmap", "default"), tmp_path, b"", b"x" * 100_000)
    assert len(Nmap().last_words(tmp_path)) == 500
