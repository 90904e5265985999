"""An instance of the API that is killed between the tick and the submit of its scan leaves the tick to another one."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

import psycopg2

from fixtures.servers.gunicorn import Gunicorn
from rig.waiting import until

SCHEDULE = {
    "name": "yearly",
    "cron": "0 0 1 1 *",
    "timezone": "Europe/Berlin",
    "scan": {"target": "127.0.0.1", "tool": "nmap"},
}
SECONDS = 60  # on a busy machine
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def kill_at_once(api: Gunicorn) -> None:
    """kill -9 of gunicorn and its workers, none of which sees another die."""
    everything = [api.master, *api.master.children(recursive=True)]
    for process in everything:
        process.suspend()
    for process in everything:
        process.kill()
    everything[0].wait(10)


def test_an_instance_killed_in_the_middle_of_a_tick_leaves_one_scan_by_another_instance(
    new_gunicorn: Any, postgres_database: str
) -> None:
    settings = {"DATABASE_URL": postgres_database, "WEB_CONCURRENCY": "1"}
    first = new_gunicorn(**settings)
    assert first.post("/api/schedules", SCHEDULE).status_code == 201
    server = postgres_database.replace("+psycopg2", "")
    with closing(psycopg2.connect(server)) as blocking, closing(psycopg2.connect(server)) as asking:
        asking.autocommit = True
        blocking.cursor().execute("LOCK TABLE scan_targets IN ACCESS EXCLUSIVE MODE")

        def count(query: str) -> int:
            with asking.cursor() as cursor:
                cursor.execute(query)
                return int((cursor.fetchone() or (0,))[0])

        with asking.cursor() as cursor:
            cursor.execute("UPDATE schedules SET next_at = now()")
        until(lambda: count(WAITS) == 1, SECONDS)  # it has taken the tick, and writes its scan
        second = new_gunicorn(**settings)
        until(lambda: count(WAITS) == 2, SECONDS)  # it waits for the same tick
        kill_at_once(first)
        blocking.rollback()
        until(lambda: count("SELECT count(*) FROM scans") == 1, SECONDS)
        time.sleep(3)  # three looks
        assert count("SELECT count(*) FROM scans") == 1
    (schedule,) = second.get("/api/schedules").json()
    (scan,) = second.get("/api/scans").json()
    assert schedule["last_run"]["scan_id"] == scan["job_id"]
    assert (schedule["last_run"]["outcome"], scan["name"]) == ("submitted", "yearly")
    assert schedule["next_runs"][0].endswith("-01-01T00:00:00+01:00")
