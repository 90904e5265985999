"""Schedules and lists through the API and the command line."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from cloudx.adapters.database import engine_for
from cloudx.adapters.database.schema.tables import schedules
from fixtures.servers.service import CLOUDX, Service
from rig.environment import clean_environment
from rig.waiting import until

SCAN = {"target": "127.0.0.1", "tool": "nmap", "port": 80}
BODY: dict[str, Any] = {"name": "nightly", "cron": "0  3 * * 1-5", "timezone": "Europe/Berlin", "scan": SCAN}


@pytest.fixture
def fleet(api):
    api.register()
    return api


def test_a_schedule_is_made_listed_changed_run_and_forgotten(fleet):
    made = fleet.post("/api/schedules", BODY)
    assert made.status_code == 201
    assert made.json["scan"] == SCAN and made.json["cron"] == "0 3 * * 1-5"
    assert (made.json["overlap"], made.json["missed"], made.json["enabled"]) == ("skip", "skip", True)
    runs = [datetime.fromisoformat(run) for run in made.json["next_runs"]]
    assert len(runs) == 5 and runs == sorted(runs)
    assert {(run.hour, run.minute) for run in runs} == {(3, 0)} and all(run.weekday() < 5 for run in runs)
    assert {run.utcoffset() for run in runs} <= {timedelta(hours=1), timedelta(hours=2)}
    path = f"/api/schedules/{made.json['id']}"
    assert made.json["last_run"] is None

    ran = fleet.post(f"{path}/run", None)
    assert ran.status_code == 202 and fleet.get(ran.headers["Location"]).json["name"] == "nightly"
    (listed,) = fleet.get("/api/schedules").json
    assert listed["last_run"]["scan_id"] == ran.json["job_id"] and listed["last_run"]["outcome"] == "submitted"
    fleet.post(f"/api/scans/{ran.json['job_id']}/stop", None)
    assert fleet.get("/api/schedules").json[0]["last_run"]["outcome"] == "stopped"
    fleet.call("DELETE", f"/api/scans/{ran.json['job_id']}")
    assert fleet.get("/api/schedules").json[0]["last_run"]["outcome"] == "deleted"

    changed = fleet.call("PATCH", path, json={"enabled": False, "overlap": "queue"}).json
    assert (changed["enabled"], changed["overlap"], changed["next_runs"], changed["cron"]) == (
        False,
        "queue",
        [],
        "0 3 * * 1-5",
    )
    assert fleet.call("DELETE", path).status_code == 200
    assert fleet.call("DELETE", path).status_code == 404
    assert fleet.call("PATCH", path, json={"enabled": True}).status_code == 404
    assert fleet.post(f"{path}/run", None).status_code == 404


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"cron": "0 3 * *"}, "cron", "five fields"),
        ({"cron": "@hourly"}, "cron", "five fields"),
        ({"timezone": "Berlin"}, "timezone", "Europe/Berlin"),
        ({"overlap": "both"}, "overlap", "skip"),
        ({"scan": {"tool": "nmap"}}, "target", "target"),
        ({"scan": SCAN | {"colour": "red"}}, "scan", "no such field"),
        ({"name": None}, "name", "string"),
        ({"colour": "red"}, "colour", "no such field"),
    ],
)
def test_a_bad_schedule_is_400_with_the_field_and_what_it_takes(fleet, changes, field, words):
    refused = fleet.post("/api/schedules", BODY | changes)
    assert refused.status_code == 400
    assert refused.json["details"]["field"] == field and words in refused.json["error"]
    assert fleet.get("/api/schedules").json == []


def test_the_command_line_adds_lists_runs_and_removes_and_a_tick_scans(service: Service) -> None:
    added = service.cloudx(
        "schedules",
        "add",
        "yearly",
        "0 0 1 1 *",
        "127.0.0.1",
        "-z",
        "Europe/Berlin",
        "-p",
        "80",
        "--missed",
        "run_once",
    )
    assert added.returncode == 0, added.stderr
    schedule_id = added.stdout.strip()
    bad = service.cloudx("schedules", "add", "bad", "0 25 * * *", "127.0.0.1")
    assert bad.returncode == 2 and "five fields" in bad.stderr
    row = next(line for line in service.cloudx("schedules", "list").stdout.splitlines() if schedule_id in line)
    assert "yearly" in row and "never" in row

    engine = engine_for(f"sqlite:///{service.data_dir / 'cloudx.db'}")
    with engine.begin() as connection:
        due = datetime.fromisoformat("2026-01-01T00:00:00+01:00")
        connection.execute(update(schedules).where(schedules.c.id == schedule_id).values(next_at=due))
    engine.dispose()

    def last_run() -> dict[str, Any]:
        found = service.call("GET", "/api/schedules").json()
        return next(one["last_run"] for one in found if one["id"] == schedule_id) or {}

    until(lambda: last_run().get("outcome") == "completed", 60, last_run)
    assert last_run()["at"].startswith("2025-12-31T23:00:00")
    ran = service.cloudx("schedules", "run", schedule_id)
    assert ran.returncode == 0 and service.wait_for(ran.stdout.strip())["name"] == "yearly"
    assert service.cloudx("schedules", "disable", schedule_id).returncode == 0
    assert "disabled" in service.cloudx("schedules", "list").stdout
    assert "It runs next at" in service.cloudx("schedules", "enable", schedule_id).stderr
    assert service.cloudx("schedules", "remove", schedule_id).returncode == 0


def test_a_tick_is_served_from_the_database_while_no_instance_of_the_api_looks(fleet):
    made = fleet.post("/api/schedules", BODY).json
    engine = engine_for(f"sqlite:///{fleet.folder / 'cloudx.db'}")
    with engine.begin() as connection:
        connection.execute(update(schedules).values(next_at=datetime.now(UTC)))
    engine.dispose()
    said = [
        subprocess.run(
            [*CLOUDX, "schedules", "tick", "--json"],
            env=clean_environment(CLOUDX_DATA_DIR=str(fleet.folder)),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert [json.loads(text)["submitted"] for text in said] == [1, 0]
    (schedule,) = fleet.get("/api/schedules").json
    assert fleet.get(f"/api/scans/{schedule['last_run']['scan_id']}").json["name"] == made["name"]
