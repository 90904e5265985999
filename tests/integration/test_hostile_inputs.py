"""Hostile inputs: each is refused with the field named, writes nothing, and is never a 500.

The table runs through the real application on a real ledger, and once more through real gunicorn.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from contextlib import closing
from typing import Any

import pytest
import requests

from fixtures.hostile_requests import ROWS, Row, scan
from fixtures.servers.api import ApiUnderTest

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
