"""Hostile inputs: each is refused with the field named, writes nothing, and is never a 500.

The table runs through the real application on a real ledger, and once more through real gunicorn.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from fixtures.api import ADMIN_TOKEN, NODE_TOKEN, ApiUnderTest

UNKNOWN = "01a20e75-a13e-7f12-b8d5-b4ecd6cf25ff"
BIG = 9 << 20


@dataclass(frozen=True)
class Row:
    """A request and what has to come of it; `field` is what details.field says, None where no field is at fault."""

    name: str
    body: Any  # str or bytes go out as they are
    field: str | None = None
    status: int = 400
    path: str = "/api/scans"
    method: str = "POST"
    content_type: str = "application/json"
    token: str = ADMIN_TOKEN

    @property
    def data(self) -> bytes:
        """The body as it goes out."""
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


def scan(**changes: Any) -> dict[str, Any]:
    return {"target": "127.0.0.1", "tool": "nmap"} | changes


def get(name: str, path: str, field: str | None, status: int = 400) -> Row:
    return Row(name, b"", field, status, path=path, method="GET")


def scope(name: str, field: str, **changes: Any) -> Row:
    body = {"targets": ["10.0.0.1"], "owner": "me"} | changes
    return Row(name, {k: v for k, v in body.items() if v is not None}, field, path="/api/scopes")


def token(name: str, field: str, **changes: Any) -> Row:
    return Row(name, {"name": "x", "role": "viewer"} | changes, field, path="/api/tokens")


def node(name: str, field: str, **changes: Any) -> Row:
    body = {"node_id": "x", "hostname": "x", "ip": "10.0.0.1"} | changes
    return Row(name, body, field, path="/api/nodes/register", token=NODE_TOKEN)


def beat(name: str, field: str | None, status: int = 400, **changes: Any) -> Row:
    body = {"node_id": "x", "updated_at": "2026-01-01T00:00:00Z"} | changes
    return Row(name, body, field, status, path="/api/nodes/heartbeat", token=NODE_TOKEN)


FORM = "application/x-www-form-urlencoded"
TARGETS = {
    "option -iL": "-iL /etc/passwd",
    "option -iL without space": "-iL/etc/passwd",
    "option --script": "--script=http-vuln",
    "option after a target": "127.0.0.1 -oN /tmp/x",
    "option after a comma": "127.0.0.1,--script=x",
    "option after a newline": "127.0.0.1\n-iL /etc/passwd",
    "option after a carriage return": "127.0.0.1\r--resume=x",
    "option after a vertical tab": "127.0.0.1\x0b-oX",
    "option after a line separator": "127.0.0.1\u2028-oX",
    "option by a Unicode dash": "−iL /etc/passwd",
    "masscan configuration": "--conf /etc/passwd",
    "a bare dash": "-",
    "the end of options": "--",
    "shell separator": "127.0.0.1;id",
    "shell substitution": "$(id)",
    "backticks": "`id`",
    "pipe": "127.0.0.1|id",
    "and": "127.0.0.1&&id",
    "redirection": "127.0.0.1>/tmp/x",
    "quote": "127.0.0.1'",
    "path": "/etc/passwd",
    "path that climbs": "../../etc/passwd",
    "file URL": "file:///etc/passwd",
    "home": "~root",
    "glob": "10.0.0.*",
    "nmap's octet ranges": "10.0-5.0.1",
    "NUL": "127.0.0.1\x00",
    "NUL inside": "127.0.0\x00.1",
    "escape sequence": "\x1b[2J127.0.0.1",
    "Arabic digits": "١٢٧.٠.٠.١",
    "full-width digits": "１２７.0.0.1",
    "right-to-left mark": "\u202e1.0.0.127",
    "zero-width space": "127.0.0.1\u200b",
    "prefix too long": "10.0.0.0/33",
    "prefix negative": "10.0.0.0/-1",
    "prefix empty": "10.0.0.0/",
    "prefix twice": "10.0.0.0/8/8",
    "netmask": "10.0.0.0/255.255.255.0",
    "range backwards": "10.0.0.9-10.0.0.1",
    "short range backwards": "10.0.0.9-1",
    "range over the versions": "10.0.0.1-::1",
    "range without an end": "10.0.0.1-",
    "range past the octet": "10.0.0.1-256",
    "octet too large": "10.0.0.256",
    "three octets": "10.0.0",
    "decimal address": "2130706433",
    "octal address": "0177.0.0.1",
    "hexadecimal address": "0x7f000001",
    "leading zeros": "127.000.000.001",
    "IPv6 with a zone": "fe80::1%eth0",
    "IPv6 zone with a command": "fe80::1%$(id)",
    "IPv6 broken": ":::",
    "port in the target": "127.0.0.1:80",
    "URL": "http://127.0.0.1/",
    "user": "root@127.0.0.1",
    "empty": "",
    "blank": "   ",
    "only separators": ",,,\n",
    "name that starts with a dash": "-example.org",
    "label too long": "a" * 64 + ".org",
    "name too long": "a." * 200 + "org",
    "one huge word": "a" * 500_000,
    "JSON in the target": '{"target": "10.0.0.1"}',
    "template": "{{7*7}}",
    "SQL": "'; DROP TABLE scans; --",
    "format string": "%s%n",
}  # fmt: skip

PORTS = {
    "zero": 0, "too large": 65536, "negative": -1, "huge": 10**18, "enormous": 10**300, "text zero": "0",
    "text too large": "65536", "range backwards": "100-1", "range from zero": "0-80", "range too far": "1-65536",
    "shell": "80;ls", "substitution": "$(id)", "trailing comma": "80,", "leading comma": ",80", "option": "-p",
    "option with a value": "-p80", "nmap's all": "-", "protocol prefix": "T:80", "name": "http", "glob": "*",
    "newline": "80\n-oN x", "space": "80 81", "NUL": "80\x00", "Arabic digits": "٨٠", "plus": "+80", "hex": "0x50",
    "float text": "80.0", "exponent": "8e1", "six digits": "000080", "long": "1," * 40_000,
}  # fmt: skip

WRONG_TYPES = {
    "target": [7, 1.5, True, ["127.0.0.1"], {"a": 1}],
    "targets": ["127.0.0.1", 7, {"0": "127.0.0.1"}, [7], [None], [["127.0.0.1"]], ["127.0.0.1", "-iL x"]],
    "tool": [None, 7, ["nmap"], {"nmap": 1}, "", "nc", "NMAP", "nmap ", "nmap;id", "/usr/bin/nmap", "n" * 70],
    "scan_type": [7, ["tcp"], "SYN", "tcp_syn", "-sS", "tcp --script=x", "x" * 100],
    "port": [True, 80.5, [80], {"80": 1}],
    "rate": [0, -1, 10**8, 10**30, 1.5, "1000", "fast", True, [1], {}],
    "exclude": [7, {"a": 1}, [7], "-iL x", ["10.0.0.0/33"]],
    "priority": [None, 10**6, -(10**6), 10**30, 1.5, "high", True],
    "name": [7, "", "x" * 129, "a\x00b", "a\nb", "\x1b[31m", ["x"]],
}

BODIES = {
    "nothing": (b"", "body"), "half an object": (b'{"target":', "body"), "a list": (b"[]", "body"),
    "a word":(b'"nmap"', "body"), "JSON in text": (b'"{\\"target\\":\\"127.0.0.1\\",\\"tool\\":\\"nmap\\"}"', "body"),
    "null": (b"null", "body"), "two objects": (b"{}{}", "body"), "NaN": (b'{"rate":NaN}', "body"),
    "Infinity": (b'{"rate":Infinity}', "body"), "too large a number": (b'{"rate":1e400}', "body"),
    "a number of 400 digits": (b'{"rate":' + b"9" * 400 + b"}", "body"),
    "no UTF-8": (b'{"target":"\xff\xfe","tool":"nmap"}', "body"),
    "UTF-16": ('{"tool":"nmap"}'.encode("utf-16"), "body"),
    "lone surrogate": (b'{"target":"\\ud800","tool":"nmap"}', "body"), "NUL bytes": (b"\x00" * 50, "body"),
    "deep list": (b'{"targets":' + b"[" * 5000 + b"]" * 5000 + b"}", "body"),
    "deep object": (b'{"a":' * 5000 + b"1" + b"}" * 5000, "body"),
    "a name twice": (b'{"tool":"nmap","target":"127.0.0.1","target":"8.8.8.8"}', "target"),
    "an unknown field": (b'{"tool":"nmap","target":"127.0.0.1","options":"--script=x"}', "options"),
    "arguments": (b'{"tool":"nmap","target":"127.0.0.1","args":["-iL","x"]}', "args"),
    "no tool": (b'{"target":"127.0.0.1"}', "tool"), "no target": (b'{"tool":"nmap"}', "target"),
    "no targets": (b'{"tool":"nmap","targets":[]}', "target"),
    "both ports": (b'{"tool":"nmap","target":"127.0.0.1","port":80,"ports":"81"}', "ports"),
    "a number of a million digits": (b'{"tool":"nmap","target":"127.0.0.1","rate":' + b"9" * 1_000_000 + b"}", None),
}  # fmt: skip

ELSEWHERE = [
    Row("scan out of scope", scan(target="8.8.8.8"), None, 403),
    Row("scan of everything", scan(target="0.0.0.0/0"), None, 403),
    Row("scan of all of IPv6", scan(target="::/0"), None, 403),
    Row("scan partly out of scope", scan(target="127.0.0.1,8.8.8.8"), None, 403),
    Row("scan of a mapped address", scan(target="::ffff:8.8.8.8"), None, 403),
    Row("too many names", scan(target=" ".join(f"h{n}.example.org" for n in range(300))), None, 413),
    Row("too many entries", scan(target="127.0.0.1 " * 100_001), None, 413),
    Row("too many probes", scan(tool="masscan", target="10.0.0.0/8 fc00::/7", port="1-65535"), "target", 400),
    Row("more probes than can be sent", scan(target="fc00::/7"), None, 413),
    Row("body over the bound", b'{"target":"' + b"1" * BIG + b'"}', None, 413),
    Row("form instead of JSON", "target=127.0.0.1&tool=nmap", "Content-Type", content_type=FORM),
    Row("text instead of JSON", json.dumps(scan()), "Content-Type", content_type="text/plain"),
    Row("masscan without a port", scan(tool="masscan"), "port"),
    Row("zmap with two ports", scan(tool="zmap", port="80,81"), "port"),
    Row("ping with a port", scan(tool="masscan", scan_type="ping_scan", port=80), "port"),
    Row("masscan on IPv6", scan(tool="masscan", target="::1", port=80), "target"),
    scope("scope of nothing", "targets", targets=[]),
    scope("scope with an option", "targets", targets=["-iL"]),
    scope("scope without an owner", "owner", owner=None),
    scope("scope of NUL", "owner", owner="a\x00"),
    scope("scope until yesterday", "expires_at", expires_at="2020-01-01T00:00:00Z"),
    scope("scope until never", "expires_at", expires_at="9999-12-31T23:59:59-12:00"),
    scope("scope until noon", "expires_at", expires_at="noon"),
    scope("scope until a naive time", "expires_at", expires_at="2099-01-01T00:00:00"),
    Row("exclusion of a path", {"targets": ["/etc"]}, "targets", path="/api/exclusions"),
    Row("exclusion with a long note", {"targets": ["10.0.0.1"], "note": "x" * 501}, "note", path="/api/exclusions"),
    token("token for root", "role", role="root"),
    token("token with a role list", "role", role=["admin"]),
    token("token that sets its secret", "sha256", sha256="0" * 64),
    node("node with a path for an id", "node_id", node_id="../x"),
    node("node with an id too long", "node_id", node_id="x" * 129),
    node("node with a made-up role", "role", role="king"),
    node("node with NUL", "hostname", hostname="a\x00b"),
    beat("beat without a time", "updated_at", updated_at=None),
    beat("beat over 100 percent", "cpu", cpu=101),
    beat("beat of nobody", None, 404),
    get("limit zero", "/api/scans?limit=0", "limit"),
    get("limit huge", "/api/scans?limit=" + "9" * 5000, "limit"),
    get("limit in words", "/api/scans?limit=ten", "limit"),
    get("cursor made up", "/api/scans?cursor='%20OR%201=1", "cursor"),
    get("cursor of NUL", "/api/scans?cursor=%00", "cursor"),
    get("status made up", "/api/scans?status=done", "status"),
    get("tool made up", "/api/scans?tool=nc", "tool"),
    get("query that is no UTF-8", "/api/scans?status=%ff%fe", "status"),
    get("format made up", f"/api/scans/{UNKNOWN}/results?format=html", "format"),
    get("results cursor made up", f"/api/scans/{UNKNOWN}/results?cursor=x", "cursor"),
    get("nodes status made up", "/api/nodes?status=ok", "status"),
    get("monitor of an option", "/api/system-monitor?target=-f", "target"),
    get("monitor of a command", "/api/system-monitor?target=127.0.0.1;id", "target"),
    get("monitor of a network", "/api/system-monitor?target=10.0.0.0/8", "target"),
    get("monitor out of scope", "/api/system-monitor?target=8.8.8.8", None, 403),
    get("id that is none", "/api/scans/xyz", None, 404),
    get("id of NUL", "/api/scans/%00", None, 404),
    get("id that is no UTF-8", "/api/scans/%ff", None, 404),
    get("id that climbs", "/api/scans/..%2f..%2fetc%2fpasswd", None, 404),
    Row("id very long", b"", None, 404, path="/api/scans/" + "a" * 4000, method="DELETE"),
    Row("stop of nothing", b"", None, 404, path="/api/scans/1/stop"),
    Row("token id that is none", b"", None, 404, path="/api/tokens/xyz", method="DELETE"),
    get("node id of NUL", "/api/nodes/%00", None, 404),
    get("script that climbs", "/scripts/..%2f..%2fetc%2fpasswd", None, 404),
    get("unknown address", "/api/admin", None, 404),
    Row("unknown method", b"", None, 405, path="/api/scans", method="PUT"),
    get("documents that climb", "/api/docs/assets/..%2f..%2fplugins.py", None, 404),
]  # fmt: skip


def _field_of(field: str, value: Any) -> str:
    """What is read as targets is named target, in whichever field it came."""
    return "target" if field == "targets" and "-iL x" in str(value) else field


ROWS = [
    *(Row(f"target: {name}", scan(target=text), "target") for name, text in TARGETS.items()),
    *(Row(f"port: {name}", scan(port=port), "port") for name, port in PORTS.items()),
    *(
        Row(
            f"{field}: {value!r:.40}",
            scan(**{field: value}),
            "target" if field == "targets" and "-iL x" in str(value) else field,
        )
        for field, values in WRONG_TYPES.items()
        for value in values
    ),
    *(Row(f"body: {name}", data, field) for name, (data, field) in BODIES.items()),
    *ELSEWHERE,
]
CODES = {
    400: {"invalid_input"}, 403: {"target_out_of_scope"}, 404: {"not_found", "node_not_registered"},
    405: {"method_not_allowed"}, 413: {"too_large"},
}  # fmt: skip


def problem_of(row: Row, status: int, body: Any) -> str | None:
    """What is wrong with an answer; None when nothing is."""
    if status != row.status:
        return f"{status} instead of {row.status}: {body}"
    if not isinstance(body, dict) or body.get("code") not in CODES[status] or not body.get("error"):
        return f"not in the error shape: {body}"
    if row.field is not None and body.get("details", {}).get("field") != row.field:
        return f"names {body.get('details')} instead of {row.field}"
    return None


@pytest.fixture
def fleet(api: ApiUnderTest) -> ApiUnderTest:
    """A node that can run everything, so that nothing is refused for want of one."""
    api.register()
    return api


def test_the_table_has_the_rows_it_should():
    assert len(ROWS) >= 60
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_the_same_requests_without_the_poison_are_accepted(fleet):
    for body in (scan(), scan(port=80), scan(tool="masscan", target="10.0.0.1", port="80"), scan(targets=["10.0.0.1"])):
        assert fleet.post("/api/scans", body).status_code == 202, body


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_hostile_input_is_refused_by_name_and_writes_nothing(fleet, row):
    before = fleet.rows()
    answer = fleet.call(row.method, row.path, token=row.token, data=row.data, content_type=row.content_type)
    assert problem_of(row, answer.status_code, answer.get_json(silent=True)) is None
    assert fleet.rows() == before


def test_no_target_string_makes_us_read_or_write_a_file(fleet, tmp_path, monkeypatch):
    bait = tmp_path / "bait"
    monkeypatch.chdir(tmp_path)
    for option in ("-oN", "-oX", "-oG", "--resume", "-iL", "--datadir"):
        for glue in (" ", "=", "\n", ","):
            fleet.post("/api/scans", scan(target=f"127.0.0.1 {option}{glue}{bait}"))
    assert not bait.exists()


def test_real_gunicorn_refuses_the_whole_table_too(new_gunicorn):
    api = new_gunicorn()
    problems = {}
    with requests.Session() as session:
        for row in ROWS:
            headers = {"Authorization": f"Bearer {row.token}", "Content-Type": row.content_type}
            request = requests.Request(row.method, api.url + row.path, headers=headers, data=row.data).prepare()
            request.url = api.url + row.path  # as written: no client tidies it up
            answer = session.send(request, timeout=30)
            is_json = answer.headers["Content-Type"] == "application/json"
            problem = problem_of(row, answer.status_code, answer.json() if is_json else answer.text)
            if problem:
                problems[row.name] = problem
    assert problems == {}
    assert api.get("/api/scans").json() == []


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /api/scans HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
        b"GET /api/scans HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\x00b\r\n\r\n",
        b"GET /api/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /api/scans HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/scans HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /api/scans HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(64) + b"\r\n\r\n",
        b"POST /api/scans HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer the-admins-token\r\n"
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET " + b"/" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=[
        "token",
        "request id",
        "path",
        "negative length",
        "smuggled length",
        "bad chunk",
        "admitted bad chunk",
        "TLS",
        "long line",
    ],
)
def test_bytes_that_are_no_http_are_a_4xx_and_the_next_request_works(shared_gunicorn, raw):
    with closing(socket.create_connection(("127.0.0.1", shared_gunicorn.port), 10)) as client:
        client.sendall(raw)
        client.settimeout(10)
        answer = http.client.HTTPResponse(client)
        try:
            answer.begin()
            body = json.loads(answer.read())
        except ConnectionResetError:
            pass  # closed with bytes unread: the kernel may drop the answer
        else:
            assert 400 <= answer.status < 500, body
            assert body["code"] and body["error"]
    assert requests.get(f"{shared_gunicorn.url}/api/health", timeout=5).status_code == 200
