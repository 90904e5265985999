"""promtool takes our files, and a real Prometheus has an answer to every question during a real scan."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml

from fixtures.prometheus_files import ALERTS, DEPLOY, PANELS, RULE_TESTS, RULES, documented_queries
from fixtures.servers.prometheus import Prometheus, running_prometheus
from fixtures.servers.service import Service
from rig.waiting import until


def promtool(*arguments: str, text: str | None = None) -> str:
    ended = subprocess.run(["promtool", *arguments], input=text, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Prometheus]]:
    """`cloudx up` with Prometheus beside it, while a scan that takes long is under way."""
    service = Service(tmp_path_factory.mktemp("scraped") / "data", CLOUDX_KEEP_SCANS_DAYS="3650")
    service.start()
    try:
        with running_prometheus(tmp_path_factory.mktemp("prometheus"), service.url.removeprefix("http://")) as server:
            finished = service.scan(target="127.0.0.1", tool="nmap", ports=str(service.port))
            service.wait_for(finished)
            service.scan(target="127.0.0.1", tool="nmap", ports="1-65535", rate=200)
            until(lambda: server.value('max(cloudx_rate_granted_packets_per_second{of="scans"})') > 0, 60)
            until(lambda: server.value('max(cloudx_findings_stored_total{tool="nmap"})') > 0, 60)
            yield service, server
    finally:
        service.stop()


def test_promtool_takes_the_alert_rules_and_their_tests() -> None:
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", str(RULES))
    promtool("test", "rules", str(RULE_TESTS))


def test_promtools_tests_notice_an_alert_that_comes_too_late(tmp_path: Path) -> None:
    tests = yaml.safe_load(RULE_TESTS.read_text())
    tests["tests"] = [case for case in tests["tests"] if case["name"] == "CloudxLeasesOverdue"]
    (tmp_path / "alerts.test.yml").write_text(yaml.safe_dump(tests))
    (tmp_path / "alerts.yml").write_text(RULES.read_text().replace("oldest_seconds) > 30", "oldest_seconds) > 3000"))
    with pytest.raises(AssertionError, match="CloudxLeasesOverdue"):
        promtool("test", "rules", str(tmp_path / "alerts.test.yml"))


@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus-consul.yml"])
def test_promtool_takes_the_scrape_configurations(name: str, tmp_path: Path) -> None:
    """Debian's Prometheus is built without Consul: of that file it is asked about all the rest."""
    configuration = yaml.safe_load((DEPLOY / "prometheus" / name).read_text())
    (scraped,) = configuration["scrape_configs"]
    if discovery := scraped.pop("consul_sd_configs", None):
        assert discovery == [{"server": "127.0.0.1:8500", "services": ["cloudx-backend"]}]
        scraped["static_configs"] = [{"targets": ["127.0.0.1:1"]}]
    (tmp_path / "alerts.yml").write_text(RULES.read_text())
    (tmp_path / name).write_text(yaml.safe_dump(configuration))
    assert "is valid prometheus config file" in promtool("check", "config", str(tmp_path / name))


def test_promtool_finds_no_fault_with_the_names_and_helps_of_our_metrics(scanned: tuple[Service, Prometheus]) -> None:
    text = requests.get(f"{scanned[0].url}/metrics", timeout=10).text
    assert promtool("check", "metrics", text=text) == ""


@pytest.mark.parametrize("name", sorted(PANELS))
def test_every_panel_has_an_answer(name: str, scanned: tuple[Service, Prometheus]) -> None:
    until(lambda: scanned[1].query(PANELS[name]), 20, lambda: PANELS[name])


@pytest.mark.parametrize("metric", sorted(documented_queries()))
def test_every_documented_query_has_an_answer(metric: str, scanned: tuple[Service, Prometheus]) -> None:
    query = documented_queries()[metric]
    until(lambda: scanned[1].query(query), 20, lambda: query)


def test_prometheus_evaluates_every_alert_and_none_fires_at_a_fleet_that_is_well(
    scanned: tuple[Service, Prometheus],
) -> None:
    def evaluated() -> dict[str, str]:
        groups = scanned[1].get("rules")["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    until(lambda: set(evaluated().values()) == {"ok"}, 20, evaluated)
    assert set(evaluated()) == set(ALERTS)
    assert scanned[1].query('ALERTS{alertstate="firing"}') == []


def test_the_answers_are_those_of_the_scan(scanned: tuple[Service, Prometheus]) -> None:
    service, server = scanned
    shown = service.call("GET", "/api/scans").json()
    done = next(scan for scan in shown if scan["status"] == "completed")
    ports = done["results"]["nmaprun"]["host"][0]["ports"]["port"]
    until(lambda: server.value('max(cloudx_findings_stored_total{tool="nmap"})') >= len(ports), 30)
    assert server.value('max(cloudx_scans{status="completed"})') == 1
    assert server.value('max(cloudx_units_settled_total{tool="nmap",outcome="completed"})') >= 1
    assert server.value('max(cloudx_rate_limit_packets_per_second{of="scans"})') == 200
    assert server.value('max(cloudx_nodes{status="healthy"})') == 1


def test_a_worker_that_hangs_shows_as_a_lease_that_is_late(scanned: tuple[Service, Prometheus]) -> None:
    service, server = scanned
    (worker,) = service.named("worker")
    worker.suspend()  # it renews no more; the lease of 12 s runs out, and nobody else takes it back here
    try:
        until(lambda: server.value("max(cloudx_lease_overdue_oldest_seconds)") > 0, 60)
        assert server.value('max(cloudx_lease_renewal_age_seconds{which="newest"})') > 12
        assert server.value("max(cloudx_leases_overdue)") >= 1
    finally:
        worker.resume()
