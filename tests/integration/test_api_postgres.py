"""The API on PostgreSQL: requests do not wait for each other's queries, and an outage is a 503 that ends."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import psycopg2
import requests

from cloudx.adapters.database import engine_for, open_ledger_on
from fixtures.ledgers import Desk
from fixtures.servers.postgres import new_server
from rig.waiting import until

BODY = {"target": "127.0.0.1", "tool": "nmap"}


def test_a_request_that_waits_for_the_database_holds_up_no_other(new_gunicorn, postgres_database):
    api = new_gunicorn(DATABASE_URL=postgres_database, WEB_CONCURRENCY="1")
    answers: list[requests.Response] = []
    with closing(psycopg2.connect(postgres_database.replace("+psycopg2", ""))) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLE scans IN ACCESS EXCLUSIVE MODE")
        waiting = [threading.Thread(target=lambda: answers.append(api.get("/api/scans"))) for _ in range(3)]
        for thread in waiting:
            thread.start()
        time.sleep(0.3)
        for path in ("/api/ping", "/api/nodes", "/api/scopes"):
            assert api.get(path).status_code == 200
        assert answers == []
        other.rollback()
    for thread in waiting:
        thread.join(10)
    assert [answer.status_code for answer in answers] == [200] * 3


def test_an_outage_is_answered_503_with_retry_after_and_ends_by_itself(new_gunicorn):
    server = new_server()
    try:
        server.execute("CREATE DATABASE cloudx")
        api = new_gunicorn(DATABASE_URL=server.url_of("cloudx"), WEB_CONCURRENCY="1")
        assert api.post("/api/scans", BODY).status_code == 202
        until(lambda: len(api.get("/api/nodes").json()) == 1, 5)
        server.stop()
        answer = api.post("/api/scans", BODY)
        assert answer.status_code == 503 and answer.json()["code"] == "dependency_unavailable"
        assert int(answer.headers["Retry-After"]) > 0
        assert requests.get(f"{api.url}/api/ready", timeout=10).status_code == 503
        assert requests.get(f"{api.url}/api/health", timeout=5).status_code == 200
        until(lambda: api.get("/api/sync-status").json()["status"] == "error", 10)
        nodes = api.get("/api/nodes")
        assert nodes.status_code == 200 and [n["stale"] for n in nodes.json()] == [True], "the last good view stays"
        server.start()
        until(lambda: api.post("/api/scans", BODY).status_code == 202, 10)
        until(lambda: api.get("/api/sync-status").json()["status"] == "active", 10)
        assert len(api.get("/api/scans").json()) == 2
    finally:
        server.remove()


def test_who_probed_an_address_is_told_of_more_scans_than_one_fetch_brings(new_gunicorn, postgres_database):
    api = new_gunicorn(DATABASE_URL=postgres_database, WEB_CONCURRENCY="1")
    engine = engine_for(postgres_database)
    desk = Desk(open_ledger_on(engine), engine)
    scans = [desk.submit("10.0.0.0/29") for _ in range(70)]
    for scan in scans:
        desk.run_to_end(scan)
    engine.dispose()
    answers: list[requests.Response] = []
    asking = [threading.Thread(target=lambda: answers.append(api.get("/api/probes?ip=10.0.0.7"))) for _ in range(4)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(30)
    listed = [[probe["scan_id"] for probe in answer.json()["probes"]] for answer in answers]
    assert listed == [[scan.id for scan in scans]] * 4


def test_hostile_text_that_postgresql_cannot_hold_is_refused_before_it_gets_there(new_gunicorn, postgres_database):
    api = new_gunicorn(DATABASE_URL=postgres_database, WEB_CONCURRENCY="1")
    for path, body in (
        ("/api/scans", BODY | {"name": "a\x00b"}),
        ("/api/scans", BODY | {"target": "127.0.0.1\x00"}),
        ("/api/scopes", {"targets": ["10.0.0.1"], "owner": "\x00"}),
        ("/api/tokens", {"name": "\x00", "role": "viewer"}),
    ):
        assert api.post(path, body).status_code == 400, path
    for path in ("/api/scans/%00", "/api/nodes/%00", f"/api/scans?cursor={'%00'}"):
        assert api.get(path).status_code in (400, 404), path
    assert api.get("/api/scans").json() == []
