"""Workers of a fleet that have no work hear of it from the API: they ask the database seldom, and start at once."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import Engine, text

from cloudx.adapters.database import engine_for
from fixtures.servers.gunicorn import NODE_TOKEN, Gunicorn
from fixtures.servers.service import CLOUDX
from rig.environment import clean_environment
from rig.waiting import until

QUIET_SECONDS = 3.0
SCAN = {"target": "127.0.0.1", "tool": "nmap", "scan_type": "tcp", "port": "9"}


@pytest.fixture
def api(new_gunicorn: Callable[..., Gunicorn], postgres_database: str) -> Gunicorn:
    return new_gunicorn(DATABASE_URL=postgres_database, WEB_CONCURRENCY="2")


@pytest.fixture
def worker(api: Gunicorn, postgres_database: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """One on this machine, as Compose starts it on a VPS."""
    environment = clean_environment(
        DATABASE_URL=postgres_database,
        CLOUDX_DATA_DIR=str(tmp_path / "worker"),
        PRIMARY_NODE_URL=api.url,
        CLOUDX_NODE_TOKEN=NODE_TOKEN,
        NODE_ID="vps-1",
    )
    with open(tmp_path / "worker.log", "wb") as log:
        process = subprocess.Popen([*CLOUDX, "worker"], env=environment, stdout=log, stderr=log)
    yield process
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


@pytest.fixture
def engine(postgres_database: str) -> Iterator[Engine]:
    """On the API's database."""
    made = engine_for(postgres_database, pool_size=1)
    yield made
    made.dispose()


def resting_seconds(engine: Engine) -> float:
    """Until when the worker counts as one that asks, from now."""
    query = "SELECT coalesce(max(extract(epoch FROM asked_at - clock_timestamp())), 0) FROM asking_workers"
    with engine.connect() as connection:
        return float(connection.scalar(text(query)) or 0)


def asked_at(engine: Engine) -> Any:
    with engine.connect() as connection:
        return connection.scalar(text("SELECT max(asked_at) FROM asking_workers"))


def ended(api: Gunicorn, scan_id: str) -> bool:
    return bool(api.get(f"/api/scans/{scan_id}").json()["status"] == "completed")


@pytest.mark.usefixtures("worker")
def test_a_worker_without_work_rests_and_begins_when_a_scan_is_submitted(api, engine):
    until(lambda: resting_seconds(engine) > QUIET_SECONDS, 60)
    noted = asked_at(engine)
    time.sleep(QUIET_SECONDS)
    assert asked_at(engine) == noted, "it looked though nobody called it"
    scan_id = api.post("/api/scans", SCAN).json()["job_id"]
    until(lambda: ended(api, scan_id), 60)


@pytest.mark.usefixtures("worker")
def test_a_worker_whose_api_is_away_looks_for_itself_and_hears_again_later(api, engine):
    until(lambda: resting_seconds(engine) > 2, 60)
    api.stop()
    until(lambda: -2 < resting_seconds(engine) <= 0, 60)  # it looks twice a second
    api.start()
    until(lambda: resting_seconds(engine) > 2, 60)


def test_an_api_that_lost_its_database_session_calls_everybody_once_it_listens_again(api, engine):
    number = heard(api, 0, 20)
    with engine.begin() as connection:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
    assert heard(api, number, 40) > number


def test_an_api_that_stops_answers_who_waits(api):
    question = f"{api.url}/api/work?seen={2**62}&wait_seconds=90"
    command = ["curl", "-s", "-H", f"Authorization: Bearer {NODE_TOKEN}", question]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as waiting:
        time.sleep(1)
        assert waiting.poll() is None
        api.stop()
        assert waiting.stdout is not None and b'"number"' in waiting.stdout.read()


def heard(api: Gunicorn, seen: int, seconds: float) -> int:
    """What a node hears within so many seconds."""
    answer = api.get("/api/work", token=NODE_TOKEN, params={"seen": seen, "wait_seconds": seconds})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["number"])


@pytest.mark.parametrize("query", ["seen=-1", "seen=x", "wait_seconds=601", "wait_seconds=nan"])
def test_what_cannot_be_waited_for_is_refused(shared_gunicorn, query):
    assert shared_gunicorn.get(f"/api/work?{query}", token=NODE_TOKEN).status_code == 400


def test_nobody_without_a_credential_waits(shared_gunicorn):
    assert requests.get(f"{shared_gunicorn.url}/api/work", timeout=10).status_code == 401
