"""Events over the real API: whole over a kill, through nginx, at a drain, and for those who may read."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import psutil
import pytest
import requests
from werkzeug.test import TestResponse

from fixtures.event_listener import Listener
from fixtures.servers.gunicorn import ADMIN_TOKEN, NODE_TOKEN
from fixtures.servers.service import Service, free_port
from rig.waiting import until

SCAN = {"target": "127.0.0.1", "tool": "nmap", "scan_type": "tcp", "port": "1-200"}
STATES = ["submitted", "running", "completed"]
JSON = {"Accept": "application/json"}


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    """Makes listeners and closes them."""
    made: list[Listener] = []

    def start(*arguments: object, **options: object) -> Listener:
        made.append(Listener(*arguments, **options))  # type: ignore[arg-type]
        until(lambda: made[-1].last_id, 30)
        return made[-1]

    yield start
    for listener in made:
        listener.close()


def statuses(listener: Listener, scan_id: str) -> list[str]:
    return [event["status"] for event in listener.named("scan", scan_id=scan_id)]


def test_a_listener_hears_each_event_once_though_the_process_it_listens_to_is_killed(new_service, listen):
    service = new_service(WEB_CONCURRENCY="2")
    service.start()
    listeners = [listen(service.url, service.token) for _ in range(4)]
    scan_ids = []
    for _ in range(3):
        scan_ids.append(service.scan(**SCAN))
        worker_processes(service)[0].kill()
        until(lambda: len(worker_processes(service)) == 2, 30)
    until(lambda: all(statuses(*pair) == STATES for pair in product(listeners, scan_ids)), 60)
    assert max(len(listener.answers) for listener in listeners) > 1, "a kill cut nobody off"
    heard = [[event for event in listener.events if event.get("scan_id") in scan_ids] for listener in listeners]
    page = service.call("GET", "/api/events?after=0", headers=JSON).json()["items"]
    assert heard == [[event for event in page if event.get("scan_id") in scan_ids]] * 4
    assert [event["id"] for event in page] == sorted({event["id"] for event in page})


def worker_processes(service: Service) -> list[psutil.Process]:
    """gunicorn's, which serve the API."""
    (master, *_) = service.named("cloudx.server.run")
    return [process for process in master.children() if process.status() != psutil.STATUS_ZOMBIE]


def test_nginx_passes_each_event_on_at_once(new_gunicorn, listen, tmp_path):
    api = new_gunicorn()
    with nginx_before(api.port, tmp_path) as url:
        listener = listen(url, ADMIN_TOKEN)
        scan_id = api.post("/api/scans", SCAN).json()["job_id"]
        until(lambda: statuses(listener, scan_id) == ["submitted"], 30)
        assert len(listener.answers) == 1, "the same answer goes on"


@contextmanager
def nginx_before(port: int, folder: Path) -> Iterator[str]:
    """nginx with its defaults, before an API on this port; the address of it."""
    front = free_port()
    (folder / "nginx.conf").write_text(f"""
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{front};
    location / {{ proxy_pass http://127.0.0.1:{port}; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}""")
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    process = subprocess.Popen(command)
    try:
        url = f"http://127.0.0.1:{front}"
        until(lambda: serves(url), 30, lambda: (folder / "error.log").read_text())
        yield url
    finally:
        process.terminate()
        process.wait(20)


def serves(url: str) -> bool:
    try:
        return requests.get(f"{url}/api/ping", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_an_open_stream_holds_up_no_drain_and_goes_on_at_the_next_process(new_gunicorn, listen):
    api = new_gunicorn()
    listener = listen(api.url, ADMIN_TOKEN)
    api.master.send_signal(signal.SIGTERM)
    assert api.stop() == 0
    api.start()
    scan_id = api.post("/api/scans", SCAN).json()["job_id"]
    until(lambda: statuses(listener, scan_id) == ["submitted"], 30)


def test_a_node_that_registers_is_told_once_however_many_processes_see_it(new_gunicorn, listen):
    api = new_gunicorn(WEB_CONCURRENCY="2")
    listener = listen(f"{api.url}", ADMIN_TOKEN, "?types=node", after=0)
    until(lambda: listener.named("node", node_id="vps1", status="healthy", was=None), 30)
    assert [event["node_id"] for event in listener.events] == ["vps1"]


def test_types_choose_and_pages_of_json_are_for_who_asks_at_intervals(api):
    api.register()
    start = api.get("/api/events", headers=JSON).json["next_after"]
    api.complete(api.submit())
    page = api.get(f"/api/events?after={start}", headers=JSON).json
    assert [(event["type"], event.get("status") or event["state"]) for event in page["items"]] == [
        ("scan", "submitted"), ("scan", "running"), ("chunk", "leased"), ("chunk", "done"), ("scan", "completed")
    ]  # fmt: skip
    assert not page["reset"] and page["next_after"] >= page["items"][-1]["id"]
    scans = api.get(f"/api/events?after={start}&types=scan", headers=JSON).json["items"]
    assert scans == [event for event in page["items"] if event["type"] == "scan"]
    first = api.get(f"/api/events?after={start}&limit=1", headers=JSON).json
    assert first["items"] == page["items"][:1] and first["next_after"] == page["items"][0]["id"]
    ahead = api.get(f"/api/events?after={page['next_after'] + 10**9}", headers=JSON).json
    assert ahead["reset"] and ahead["items"] == []


def test_a_browser_that_comes_back_goes_on_after_its_last_id_and_hears_when_events_are_gone(api):
    api.register()
    start = api.get("/api/events", headers=JSON).json["next_after"]
    api.complete(api.submit())
    api.dependencies.events.close()  # so that the stream ends where it would wait
    whole = blocks(api.get(f"/api/events?after={start}"))
    assert [block["event"] for block in whole] == ["scan", "scan", "chunk", "chunk", "scan"]
    again = blocks(api.get(f"/api/events?after={start}", headers={"Last-Event-ID": whole[1]["id"]}))
    assert again == whole[2:]
    (reset,) = blocks(api.get("/api/events?after=9000000000000"))
    assert reset["event"] == "reset" and int(reset["id"]) >= int(whole[-1]["id"])
    assert blocks(api.get("/api/events")) == []


def blocks(answer: TestResponse) -> list[dict[str, str]]:
    """The events of a stream that has ended."""
    assert answer.status_code == 200 and answer.content_type.startswith("text/event-stream")
    assert answer.headers["X-Accel-Buffering"] == "no"
    parts = [dict(line.split(": ", 1) for line in part.splitlines()) for part in answer.text.split("\n\n")]
    return [part for part in parts if "data" in part]


@pytest.mark.parametrize(
    ("query", "headers", "field"),
    [
        ("types=scan,fish", {}, "types"),
        ("types=", {}, "types"),
        ("after=-1", {}, "after"),
        ("after=99999999999999999999", {}, "after"),
        ("limit=0", {}, "limit"),
        ("", {"Last-Event-ID": "x"}, "Last-Event-ID"),
    ],
)
def test_a_bad_request_names_its_field(api, query, headers, field):
    answer = api.get(f"/api/events?{query}", headers=headers)
    assert answer.status_code == 400 and field in answer.text


def test_viewers_listen_and_nodes_do_not(api):
    assert api.get("/api/events", token=None).status_code == 401
    assert api.get("/api/events", token=NODE_TOKEN).status_code == 403
    assert api.get("/api/events", token=api.token("viewer"), headers=JSON).status_code == 200
