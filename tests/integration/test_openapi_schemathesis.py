"""The OpenAPI document is true: generated requests find no 5xx, and every answer is one it announces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from typing_extensions import override

from cloudx.api.app import create_app
from cloudx.bootstrap.api import api_dependencies
from cloudx.bootstrap.database import prepare_database
from cloudx.config import load_settings
from cloudx.domain.addresses import Address
from cloudx.services.access.ports import Resolver
from cloudx.services.scans.plan import PlanScan

# Its own strategies use `random`, of which Hypothesis disapproves now and then.
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")

# Of schemathesis' checks these are promises of ours; "unexpected" acceptance of odd data is judged by
# test_hostile_inputs.py instead, where what is refused is written down.
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


EXAMPLES = 40
SLOW_IS_FINE = list(HealthCheck)
SCAN = "/api/scans/{scan_id}"
RECORDS = ("webhooks", "scopes", "exclusions", "canaries", "lists", "schedules", "tokens")
CALLS = [
    "GET /api/health", "GET /api/ping", "GET /api/ready", "GET /api/sync-status", "GET /api/system-monitor",
    "GET /api/session", "POST /api/session", "DELETE /api/session", "POST /api/scans/plan",
    "POST /api/scans", "GET /api/scans", f"GET {SCAN}", f"POST {SCAN}/stop", f"POST {SCAN}/pause",
    f"POST {SCAN}/resume", f"DELETE {SCAN}",
    f"GET {SCAN}/results", f"GET {SCAN}/coverage", "GET /api/scans/{before_id}/diff/{after_id}",
    "POST /api/nodes/register", "POST /api/nodes/heartbeat",
    "DELETE /api/nodes/{node_id}", "PATCH /api/schedules/{record_id}", "POST /api/schedules/{record_id}/run",
    "GET /api/nodes", "GET /api/nodes/{node_id}", "GET /api/work", "GET /api/audit", "GET /api/probes", "GET /metrics",
    "GET /api/events", "GET /api/findings",
    *(f"{method} /api/{kind}" for kind in RECORDS for method in ("GET", "POST")),
    *(f"DELETE /api/{kind}/{{record_id}}" for kind in RECORDS),
]  # fmt: skip


WITHOUT_INPUT = (
    "GET /api/health", "GET /api/ping", "GET /api/ready", "GET /api/sync-status", "GET /metrics", "GET /api/session",
    "DELETE /api/session",
)  # fmt: skip


class NoNames(Resolver):
    """A resolver that knows no name, so that generated ones reach no name server."""

    @override
    def resolve(self, host_name: str) -> list[Address]:
        return []


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The document of an application with open access, so that requests get past the door."""
    folder: Path = tmp_path_factory.mktemp("schemathesis") / "data"
    chosen = load_settings({"CLOUDX_DATA_DIR": str(folder), "CLOUDX_AUTH": "open"})
    prepare_database(chosen)
    wired, names = api_dependencies(chosen), NoNames()
    wired.events.close()  # a stream ends where it would wait
    app = create_app(
        replace(
            wired,
            add_exclusion=replace(wired.add_exclusion, resolver=names),
            submit_scan=(submit := replace(wired.submit_scan, resolver=names)),
            plan_scan=PlanScan(submit),
            edit_schedules=replace(wired.edit_schedules, submit_scan=submit),
            run_schedules=replace(wired.run_schedules, submit_scan=submit),
            measure_latency=replace(wired.measure_latency, resolver=names),
        )
    )
    app.test_client().post(
        "/api/nodes/register",
        json={
            "node_id": "a",
            "hostname": "a",
            "ip": "10.0.0.1",
            "capabilities": ["nmap", "masscan", "zmap", "raw_socket"],
        },
    )
    yield schemathesis.openapi.from_wsgi("/api/openapi.json", app)


# Schemathesis' own pytest plugin breaks on this pytest ('Function' has no attribute '_nodeid'), so each operation's
# strategy is given to Hypothesis by hand.
@pytest.mark.parametrize(
    ("call", "mode"),
    [(call, GenerationMode.POSITIVE) for call in CALLS]
    + [(call, GenerationMode.NEGATIVE) for call in CALLS if call not in WITHOUT_INPUT],
)
def test_no_generated_request_gets_an_answer_the_document_does_not_announce(document, call, mode):
    method, path = call.split(" ")
    operation = document[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=SLOW_IS_FINE)
    def answers_as_announced(case: schemathesis.Case[Any]) -> None:
        # Its in-process transport cannot read compressed answers, though it asks for them.
        case.call_and_validate(checks=CHECKS, headers={"Accept-Encoding": "identity"})

    answers_as_announced()


def test_the_document_names_every_call_of_the_contract(api):
    document = api.get("/api/openapi.json", token=None).json
    assert document["openapi"].startswith("3.1")
    documented = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    assert documented == set(CALLS)


def test_every_closed_call_documents_its_errors_in_the_one_shape(api):
    document = api.get("/api/openapi.json", token=None).json
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if operation.get("security"):
                for status in ("400", "401", "403", "429", "503"):
                    content = operation["responses"][status]["content"]["application/json"]
                    assert content["schema"]["$ref"].endswith("/Error"), (method, path, status)
