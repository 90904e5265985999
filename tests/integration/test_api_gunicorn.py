"""The API as it runs: several gunicorn workers, their drain, metrics across them, structured logs."""

from __future__ import annotations

import http.client
import re
import signal
import threading
import time
from contextlib import closing

import psutil
import pytest
import requests

from rig.waiting import until


def pings_counted(api) -> float:
    found = re.search(
        r'requests_total\{method="GET",route="/api/ping",status="200"\} ([\d.]+)', api.get("/metrics").text
    )
    return float(found[1]) if found else 0.0


def test_metrics_are_right_across_the_workers_and_outlive_one_that_is_killed(new_gunicorn):
    api = new_gunicorn(WEB_CONCURRENCY="3")
    until(lambda: len(api.master.children()) == 3, 10)
    for _ in range(60):  # a connection each, so that every worker serves some
        api.get("/api/ping")
    assert pings_counted(api) == 60
    api.master.children()[0].kill()
    until(lambda: len([c for c in api.master.children() if c.status() != psutil.STATUS_ZOMBIE]) == 3, 10)
    for _ in range(10):
        api.get("/api/ping")
    assert pings_counted(api) == 70
    assert re.findall(r'^cloudx_nodes\{status="healthy"\} (\S+)$', api.get("/metrics").text, re.MULTILINE) == ["1.0"]


def test_a_second_start_begins_its_counts_anew(new_gunicorn):
    api = new_gunicorn()
    api.get("/api/ping")
    api.master.children()[0].kill()
    api.stop()
    assert not list(api.data_dir.glob("metrics-*"))
    api.start()
    assert pings_counted(api) == 0


def test_sigterm_finishes_the_request_that_is_under_way_and_refuses_new_ones(new_gunicorn):
    api = new_gunicorn()
    body = b'{"target": "127.0.0.1", "tool": "nmap"}'
    with closing(http.client.HTTPConnection("127.0.0.1", api.port, timeout=30)) as slow:
        slow.putrequest("POST", "/api/scans")
        slow.putheader("Authorization", "Bearer the-admins-token")
        slow.putheader("Content-Type", "application/json")
        slow.putheader("Content-Length", str(len(body)))
        slow.endheaders(body[:10])
        time.sleep(0.3)  # the worker has the head and waits for the rest
        api.master.send_signal(signal.SIGTERM)
        until(lambda: refused(api.url), 10)
        slow.send(body[10:])
        answer = slow.getresponse()
        assert answer.status == 202, answer.read()
    assert api.stop() == 0


def refused(url: str) -> bool:
    try:
        requests.get(f"{url}/api/ping", timeout=1)
    except requests.ConnectionError:
        return True
    return False


def test_idle_connections_do_not_hold_up_a_stop(new_gunicorn):
    api = new_gunicorn()
    sessions = [requests.Session() for _ in range(8)]
    for session in sessions:
        assert session.get(f"{api.url}/api/ping", timeout=5).status_code == 200
    started = time.monotonic()
    assert api.stop() == 0
    assert time.monotonic() - started < 20, "the keep-alive time is 75 s, the graceful one 25 s"
    for session in sessions:
        session.close()


def test_a_stop_under_load_fails_no_request_that_was_taken(new_gunicorn):
    api = new_gunicorn()
    broken: list[str] = []
    served = [0]

    def load() -> None:
        while True:
            try:
                answer = requests.get(
                    f"{api.url}/api/nodes", headers={"Authorization": "Bearer the-admins-token"}, timeout=10
                )
            except requests.ConnectionError as error:
                if "refused" not in str(error):
                    broken.append(str(error))
                return
            served[0] += 1
            if answer.status_code != 200:
                broken.append(str(answer.status_code))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    api.master.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join(30)
    assert served[0] > 50
    # A connection still in the kernel's queue when the socket closes is reset by the kernel: it was never taken.
    assert [why for why in broken if "reset" not in why.lower()] == []


def test_each_line_of_the_log_is_json_and_requests_are_found_by_their_id(new_gunicorn):
    api = new_gunicorn()
    api.get("/api/made-up", headers={"X-Request-ID": "find-me"})
    api.post("/api/scans", {"target": "127.0.0.1", "tool": "nmap"}, headers={"X-Request-ID": "made-one"})
    lines = {line["request_id"]: line for line in api.lines() if "request_id" in line}
    assert lines["find-me"]["status"] == 404 and lines["find-me"]["path"] == "/api/made-up"
    assert lines["made-one"]["status"] == 202 and lines["made-one"]["principal"] == "admin"
    assert lines["made-one"]["duration_ms"] > 0
    assert "the-admins-token" not in api.log.read_text()


def test_requests_wait_for_nobody_while_one_is_slow_to_send(shared_gunicorn):
    api = shared_gunicorn
    slow = [http.client.HTTPConnection("127.0.0.1", api.port, timeout=30) for _ in range(20)]
    for connection in slow:
        connection.putrequest("POST", "/api/scans")
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b"{")
    for _ in range(10):  # the slow ones are not done before these are, and who waited for them would not be answered
        assert api.get("/api/ping").status_code == 200
    for connection in slow:
        connection.close()


def test_an_unfinished_chunked_body_over_the_bound_is_cut_off(shared_gunicorn):
    def endless():
        for _ in range(200):
            yield b"1" * 65536

    with pytest.raises(requests.RequestException):
        answer = requests.post(
            f"{shared_gunicorn.url}/api/scans",
            data=endless(),
            headers={"Authorization": "Bearer the-admins-token", "Content-Type": "application/json"},
            timeout=30,
        )
        assert answer.status_code == 413
        raise requests.RequestException("refused with 413, as it should be")
