"""Answers that go wrong, from real sockets: each ends in one sentence with a remedy, never in a traceback."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fixtures.servers.service import CLOUDX, Service, free_port
from fixtures.terminal import Terminal
from rig.environment import clean_environment

SCAN_ID = "019ab3c4-7f00-7d1e-8a2b-3c4d5e6f7a8b"
EVIL = "\x1b]0;owned\x07\x1b[2J[red]x[/red]"
Answer = tuple[int, dict[str, str], bytes]


def _json(document: Any, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(document).encode()


class _Scripted(BaseHTTPRequestHandler):
    """Answers what the test wrote down; `seen` keeps what was asked."""

    protocol_version = "HTTP/1.1"
    answers: dict[str, Answer]
    seen: list[tuple[str, str, dict[str, str]]]

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        self.seen.append((self.command, path, dict(self.headers)))
        status, headers, body = self.answers[f"{self.command} {path}"]
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body)), "Connection": "close"} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the library's names

    def log_message(self, *_: Any) -> None: ...


class _Cli:
    def __init__(self, url: str, handler: type[_Scripted]) -> None:
        self.url, self.handler = url, handler
        self.env = clean_environment(CLOUDX_URL=url, CLOUDX_TOKEN="cx_secret")

    def run(self, *arguments: str, **settings: str) -> Any:
        return subprocess.run(
            [*CLOUDX, *arguments], env=self.env | settings, capture_output=True, text=True, timeout=60
        )


@pytest.fixture
def answering() -> Iterator[Callable[[dict[str, Answer]], _Cli]]:
    """A server that gives the answers of the test."""
    servers: list[ThreadingHTTPServer] = []

    def serve(answers: dict[str, Answer]) -> _Cli:
        handler = type("Scripted", (_Scripted,), {"answers": answers, "seen": []})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return _Cli(f"http://127.0.0.1:{server.server_port}", handler)

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def _says(failed: Any, code: int, *words: str) -> None:
    assert failed.returncode == code, (failed.stdout, failed.stderr)
    assert failed.stdout == ""
    assert failed.stderr.startswith("error: ")
    assert failed.stderr.count("\n") == 1
    for word in words:
        assert word in failed.stderr


def test_where_nothing_listens_it_says_how_to_start(answering: Any) -> None:
    _says(answering({}).run("scans", CLOUDX_URL=f"http://127.0.0.1:{free_port()}"), 1, "make run", "(api_unreachable)")


def test_a_name_that_does_not_resolve_is_named(answering: Any) -> None:
    _says(answering({}).run("scans", CLOUDX_URL="http://no-such-host.invalid"), 1, "no-such-host.invalid")


def test_something_that_speaks_no_http_is_named(answering: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            connection.close()

        threading.Thread(target=greet, daemon=True).start()
        _says(answering({}).run("scans", CLOUDX_URL=f"http://127.0.0.1:{listener.getsockname()[1]}"), 1, "CLOUDX_URL")


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ((502, {"Content-Type": "text/html"}, b"<h1>Bad Gateway</h1>"), "answered 502: no Cloud-X API behind it does"),
        ((503, {}, b""), "answered 503: no Cloud-X API behind it does"),
        ((200, {"Content-Type": "text/html"}, b"<h1>Welcome to nginx</h1>"), "not as a Cloud-X API"),
        ((404, {}, b""), "404"),
        ((500, {}, b'{"detail": "other shape"}'), "500"),
        ((301, {"Location": "https://scan.example.org/api/scans"}, b""), "https://scan.example.org"),
        ((200, {}, b'[{"job_id": '), "Cloud-X API"),
    ],
)
def test_an_answer_of_something_else_is_no_traceback(answering: Any, answer: Answer, word: str) -> None:
    _says(answering({"GET /api/scans": answer}).run("scans"), 1, word, "CLOUDX_URL")


def test_an_answer_of_an_unknown_shape_is_called_a_defect_in_one_line(answering: Any) -> None:
    _says(answering({"GET /api/scans": _json([{"unexpected": 1}])}).run("scans"), 1, "defect", "(internal_error)")


def test_an_error_of_the_api_is_shown_with_its_code_and_no_escape_of_its_text(answering: Any) -> None:
    refused = _json({"error": f"no {EVIL}", "code": "conflict"}, 409)
    failed = answering({f"POST /api/scans/{SCAN_ID}/stop": refused}).run("stop", SCAN_ID)
    _says(failed, 1, "(conflict)", "\\x1b]0;owned", "[red]x[/red]")
    assert "\x1b" not in failed.stderr


def test_a_netrc_entry_does_not_take_the_token_s_place(answering: Any, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login x password y\nmachine localhost login x password y\n")
    cli = answering({"GET /api/scans": _json([])})
    named = cli.url.replace("127.0.0.1", "localhost")
    assert cli.run("scans", CLOUDX_URL=named, NETRC=str(tmp_path / "netrc")).returncode == 0
    assert cli.handler.seen[-1][2]["Authorization"] == "Bearer cx_secret"


def test_a_proxy_of_the_shell_is_not_asked_for_loopback(answering: Any) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    cli = answering({"GET /api/scans": _json([])})
    assert cli.run("scans", HTTP_PROXY=nowhere, http_proxy=nowhere, NO_PROXY="", no_proxy="").returncode == 0


def test_a_submit_that_met_a_503_is_sent_again_with_the_same_key(answering: Any) -> None:
    _, headers, body = _json({"error": "The database rests.", "code": "dependency_unavailable"})
    cli = answering({"POST /api/scans": (503, headers | {"Retry-After": "1"}, body)})
    _says(cli.run("scan", "127.0.0.1"), 1, "(dependency_unavailable)")
    keys = {headers["Idempotency-Key"] for _, _, headers in cli.handler.seen}
    assert (len(cli.handler.seen), len(keys)) == (3, 1)


def _scan(**changes: Any) -> dict[str, Any]:
    return {
        "job_id": SCAN_ID,
        "tool": "nmap",
        "target": EVIL,
        "scan_type": "default",
        "status": "completed",
        "progress": 100.0,
        "results": None,
        "created_at": "2026-11-24T10:00:00Z",
        "name": EVIL,
        "priority": 0,
        "rate": 1000,
        "started_at": "2026-11-24T10:00:00Z",
        "finished_at": "2026-11-24T10:00:01Z",
        "eta_seconds": None,
        "error": EVIL,
        "created_by": EVIL,
        "coverage": {"planned": 1, "completed": 1, "excluded": 0, "failed": 0},
        "chunks": {"pending": 0, "leased": 0, "done": 1, "failed": 0},
        "workers": [{"node_id": EVIL, "chunks_done": 1, "rate": 0}],
    } | changes


def _hostile_answers() -> dict[str, Answer]:
    finding: dict[str, Any] = dict.fromkeys(("hostname", "service", "product", "version", "state", "protocol"), EVIL)
    finding |= {"scan_id": SCAN_ID, "ip": "127.0.0.1", "port": 80, "observed_at": "", "node_id": EVIL}
    return {
        "GET /api/scans": _json([_scan()]),
        f"GET /api/scans/{SCAN_ID}": _json(_scan()),
        f"GET /api/scans/{SCAN_ID}/results": _json({"items": [finding], "next_cursor": None}),
    }


@pytest.mark.parametrize("command", [("scans",), ("show", "last"), ("show", "last", "--wait"), ("results", "last")])
def test_hostile_names_and_banners_cannot_steer_a_terminal(answering: Any, command: tuple[str, ...]) -> None:
    terminal = Terminal([*CLOUDX, *command], answering(_hostile_answers()).env, columns=200)
    try:
        assert terminal.finish() == 0
    finally:
        terminal.close()
    assert "\x1b]0;" not in terminal.text
    assert "\x1b[2J" not in terminal.text
    assert "\x07" not in terminal.text
    assert "\\x1b]0;owned" in terminal.text.replace("\r\n", "")


def test_a_raw_format_is_escaped_on_a_terminal_and_exact_in_a_file(answering: Any, tmp_path: Path) -> None:
    text = f"ip,extra\r\n127.0.0.1,{EVIL} \xe9\r\n".encode()
    answers = _hostile_answers() | {f"GET /api/scans/{SCAN_ID}/results": (200, {"Content-Type": "text/csv"}, text)}
    cli = answering(answers)
    terminal = Terminal([*CLOUDX, "results", SCAN_ID, "--format", "csv"], cli.env, columns=200)
    try:
        assert terminal.finish() == 0
    finally:
        terminal.close()
    assert "127.0.0.1,\\x1b]0;owned\\x07\\x1b[2J[red]x[/red] é" in terminal.text
    assert cli.run("results", SCAN_ID, "-o", str(tmp_path / "x.csv")).returncode == 0
    assert (tmp_path / "x.csv").read_bytes() == text


def test_a_stream_that_is_cut_off_fails_and_leaves_the_old_file_alone(answering: Any, tmp_path: Path) -> None:
    cut = (200, {"Content-Type": "application/x-ndjson", "Content-Length": "1000"}, b'{"ip": "127.0.0.1"}\n')
    cli = answering(_hostile_answers() | {f"GET /api/scans/{SCAN_ID}/results": cut})
    file = tmp_path / "x.json"
    file.write_text("of yesterday")
    _says(cli.run("results", SCAN_ID, "-o", str(file)), 1, "cut off", "Ask again")
    assert file.read_text() == "of yesterday"
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_a_failed_scan_that_was_waited_for_ends_with_1_and_says_why(answering: Any) -> None:
    failed = _scan(
        status="failed", error="nmap: QUITTING!", coverage={"planned": 1, "completed": 0, "excluded": 0, "failed": 1}
    )
    answers = _hostile_answers() | {f"GET /api/scans/{SCAN_ID}": _json(failed)}
    answers["POST /api/scans"] = _json({"job_id": SCAN_ID, "status": "submitted"}, 202)
    ended = answering(answers).run("scan", "127.0.0.1")
    assert ended.returncode == 1
    assert "nmap: QUITTING!" in ended.stdout
    assert "+ 1 failed" in ended.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("scan",),
        ("scan", "127.0.0.1", "--tool", "nessus"),
        ("scan", "127.0.0.1", "--rate", "fast"),
        ("scan", "127.0.0.1", "--rate", "0"),
        ("scan", "-iL", "/etc/passwd"),
        ("results", "last", "--format", "yaml"),
        ("scans", "--status", "asleep"),
        ("tokens", "add", "x", "--role", "root"),
        ("frobnicate",),
    ],
)
def test_wrong_usage_ends_with_2_before_anything_is_asked(answering: Any, arguments: tuple[str, ...]) -> None:
    cli = answering({})
    refused = cli.run(*arguments)
    assert (refused.returncode, refused.stdout, cli.handler.seen) == (2, "", [])


@pytest.mark.parametrize(
    "arguments",
    [("--", "-iL"), ("127.0.0.1", "--ports", "0-99999"), ("127.0.0.1", "--type", "--script=x"), ("10.0.0.1/99",)],
)
def test_what_the_api_cannot_read_ends_with_2(service: Service, arguments: tuple[str, ...]) -> None:
    _says(service.cloudx("scan", *arguments), 2, "(invalid_input)")


def test_a_target_out_of_scope_names_the_command_that_adds_it(service: Service) -> None:
    _says(service.cloudx("scan", "203.0.113.5"), 1, "cloudx scopes add 203.0.113.5", "(target_out_of_scope)")


def test_without_any_install_every_remedy_is_named(tmp_path: Path, answering: Any) -> None:
    failed = answering({}).run("scans", CLOUDX_URL="", CLOUDX_TOKEN="", CLOUDX_DATA_DIR=str(tmp_path))
    _says(failed, 1, "make run", "cloudx up", "CLOUDX_URL", "CLOUDX_TOKEN", "(no_api_known)")


def test_a_misspelt_setting_is_named_and_ends_with_2(answering: Any) -> None:
    _says(answering({}).run("scans", CLOUDX_TOKN="x"), 2, "CLOUDX_TOKN", "Did you mean CLOUDX_TOKEN?")


@pytest.mark.parametrize("command", ["serve", "up"])
def test_an_api_that_could_not_dispatch_does_not_start(answering: Any, tmp_path: Path, command: str) -> None:
    settings = {"CLOUDX_EXECUTOR": "nomad", "CLOUDX_DATA_DIR": str(tmp_path), "CLOUDX_URL": "", "CLOUDX_TOKEN": ""}
    _says(answering({}).run(command, **settings), 2, "CLOUDX_EXECUTOR: nomad needs PostgreSQL")
    assert list(tmp_path.iterdir()) == []
