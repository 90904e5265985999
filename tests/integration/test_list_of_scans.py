"""GET /api/scans: one page for the frontend that asks for no second one, with what was found and nothing large else."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from cloudx.api import embed_results
from cloudx.domain.findings import Finding
from cloudx.services.results import keep
from fixtures.servers.api import ApiUnderTest

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ORIGIN = "http://frontend.example:3000"


@pytest.fixture
def fleet(api: ApiUnderTest) -> ApiUnderTest:
    api.register()
    return api


def finished(fleet: ApiUnderTest, hosts: int = 2) -> str:
    scan_id = fleet.submit(tool="masscan", target="10.0.0.0/22", port="80")
    fleet.complete(scan_id, [Finding(f"10.0.{n // 250}.{n % 250}", "tcp", 80, "open", AT) for n in range(1, hosts + 1)])
    return scan_id


def listed(api: ApiUnderTest, path: str = "/api/scans") -> list[dict]:  # type: ignore[type-arg]
    answer = api.get(path)
    assert answer.status_code == 200, answer.text
    return answer.get_json()  # type: ignore[no-any-return]


def must_not_build(*_: object) -> None:
    raise AssertionError("built again")


def test_the_default_page_has_every_one_of_250_scans(fleet):
    ids = [fleet.submit() for _ in range(250)]
    assert [scan["job_id"] for scan in listed(fleet)] == ids[::-1]


def test_a_page_has_at_most_1000_scans(fleet):
    assert fleet.get("/api/scans?limit=1000").status_code == 200
    refused = fleet.get("/api/scans?limit=1001")
    assert refused.status_code == 400 and "limit" in refused.text


def test_x_total_count_counts_all_pages_of_what_was_asked_for(fleet):
    for _ in range(3):
        fleet.submit()
    finished(fleet)
    counts = {path: fleet.get(path).headers["X-Total-Count"] for path in (
        "/api/scans", "/api/scans?limit=1", "/api/scans?status=completed", "/api/scans?tool=nmap&limit=2",
        "/api/scans?status=failed",
    )}  # fmt: skip
    assert list(counts.values()) == ["4", "4", "1", "3", "0"]


def test_a_page_of_another_origin_may_read_the_count_and_the_link(new_api):
    api = new_api(CLOUDX_CORS_ORIGINS=ORIGIN)
    api.register()
    for _ in range(2):
        api.submit()
    answer = api.get("/api/scans?limit=1", headers={"Origin": ORIGIN})
    exposed = {name.strip() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert {"X-Total-Count", "Link"} <= exposed
    assert answer.headers["X-Total-Count"] == "2" and 'rel="next"' in answer.headers["Link"]


def test_a_long_target_is_cut_between_two_of_its_addresses_and_said_to_be_cut(fleet):
    addresses = [f"10.{n // 65536}.{n // 256 % 256}.{n % 256}" for n in range(0, 8000, 2)]
    scan_id = fleet.submit(tool="masscan", target=",".join(addresses), port="80")
    (scan,) = listed(fleet)
    assert len(scan["target"].encode()) <= 2048
    assert scan["target_truncated"] is True and scan["target_count"] == len(addresses)
    shown = scan["target"].split(",")
    assert shown == addresses[: len(shown)]
    alone = fleet.get(f"/api/scans/{scan_id}").json
    assert alone["target"] == ",".join(addresses) and alone["target_truncated"] is False
    assert alone["target_count"] == len(addresses)


def test_a_short_target_is_whole_and_its_excluded_addresses_are_counted(fleet):
    fleet.submit(tool="masscan", target="10.0.0.0/24", port="80", exclude="10.0.0.7")
    (scan,) = listed(fleet)
    assert (scan["target"], scan["target_truncated"], scan["target_count"]) == ("10.0.0.0/24", False, 256)


def test_the_first_answer_of_a_new_process_has_the_results_of_each_of_120_finished_scans(fleet, new_api, monkeypatch):
    for _ in range(120):
        finished(fleet)
    monkeypatch.setattr(keep, "read_inline", must_not_build)
    results = [scan["results"] for scan in listed(new_api())]
    wanted = {"hosts": [{"host": f"10.0.0.{n}", "ports": [{"portid": 80, "state": "open"}]} for n in (1, 2)]}
    assert results == [wanted] * 120


def test_a_scan_that_was_stopped_before_it_found_anything_has_an_empty_document(fleet, monkeypatch):
    scan_id = fleet.submit()
    fleet.post(f"/api/scans/{scan_id}/stop", {})
    monkeypatch.setattr(keep, "read_inline", must_not_build)
    (scan,) = listed(fleet)
    assert scan["results"] == {"nmaprun": {"host": []}} and scan["results_truncated"] is False


def test_a_scan_of_which_everything_was_excluded_has_an_empty_document(fleet):
    fleet.submit(tool="masscan", target="10.0.0.7", port="80", exclude="10.0.0.0/24")
    (scan,) = listed(fleet)
    assert scan["status"] == "completed" and scan["results"] == {"hosts": []}


def test_results_are_null_where_nothing_was_found_yet_and_nothing_is_left_out(fleet):
    fleet.submit()
    (scan,) = listed(fleet)
    assert scan["results"] is None and scan["results_truncated"] is False


def test_over_the_bound_the_results_of_the_oldest_scans_are_left_out_and_said_to_be(fleet, new_api, monkeypatch):
    ids = [finished(fleet, hosts) for hosts in (1, 300, 300, 300)]
    size = len(json.dumps(listed(fleet)[0]["results"], separators=(",", ":")))
    monkeypatch.setattr(embed_results, "MAX_BYTES", 5 * size // 2)
    for process in (fleet, new_api()):  # from memory, and from the ledger
        scans = listed(process)
        assert [scan["job_id"] for scan in scans] == ids[::-1]
        assert [scan["results"] is not None for scan in scans] == [True, True, False, False]
        assert [scan["results_truncated"] for scan in scans] == [False, False, True, True]
        assert all(scan["results_url"].endswith("/results") for scan in scans)


def test_results_that_fit_into_no_answer_take_no_others_place(fleet, monkeypatch):
    finished(fleet, 10)
    finished(fleet, 500)
    monkeypatch.setattr(embed_results, "MAX_BYTES", 2000)
    assert [scan["results"] is not None for scan in listed(fleet)] == [False, True]


def test_finished_scans_of_an_older_version_are_built_by_the_list_a_bounded_number_at_a_time(
    fleet, new_api, monkeypatch
):
    for _ in range(5):
        finished(fleet)
    forget_results(fleet)
    monkeypatch.setattr(embed_results, "MAX_BUILDS", 3)
    shown = [scan["results"] is not None for scan in listed(fleet)]
    assert shown == [True, True, True, False, False]
    assert all(scan["results"] is not None for scan in listed(new_api())), "the first process kept what it built"


def test_a_running_scan_shows_what_its_finished_chunks_found(fleet):
    scan_id = fleet.submit(tool="masscan", target="10.0.0.0/22", port="80", rate=10)
    fleet.complete_one(scan_id, [Finding("10.0.0.9", "tcp", 80, "open", AT)])
    (scan,) = listed(fleet)
    assert scan["status"] == "running" and scan["results"]["hosts"][0]["host"] == "10.0.0.9"


def forget_results(api: ApiUnderTest) -> None:
    """As a version that kept none left it."""
    with closing(sqlite3.connect(api.folder / "cloudx.db")) as connection:
        connection.execute("DELETE FROM inline_results")
        connection.commit()
