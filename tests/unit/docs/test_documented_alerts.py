"""Every alert has its runbook line and its test, and asks of metrics that there are; so do the dashboard's panels."""

from __future__ import annotations

import re

from fixtures.doc_pages import ROOT, assert_same, first_cells, section, text_of
from fixtures.prometheus_files import ALERTS, PANELS, TESTED_ALERTS

RUNBOOK = "docs/operations.md"
_A_METRIC = re.compile(r"cloudx_\w+")
KNOWN = set(re.findall(r"^\| `(cloudx_\w+)`", text_of("docs/metrics.md"), re.M))


def test_every_alert_has_its_runbook_line_and_every_line_its_alert() -> None:
    assert_same(
        first_cells(section(RUNBOOK, "Alerts")),
        ALERTS,
        RUNBOOK + ", 'Alerts', lacks a row for `{}`: what it means, and what to do",
        RUNBOOK + ", 'Alerts', has a row for `{}`, and deploy/prometheus/alerts.yml has no such alert",
    )


def test_every_alert_has_its_case_in_promtools_tests() -> None:
    assert_same(
        TESTED_ALERTS,
        ALERTS,
        "deploy/prometheus/alerts.test.yml lacks a case named {}",
        "deploy/prometheus/alerts.test.yml has a case for {}, and there is no such alert",
    )


def test_alerts_and_panels_ask_of_metrics_that_there_are() -> None:
    asked = {name: re.sub(r"_bucket$", "", name) for query in (*ALERTS.values(), *PANELS.values())
             for name in _A_METRIC.findall(query)}  # fmt: skip
    assert len(asked) > 25
    assert {name for name, metric in asked.items() if metric not in KNOWN} == set()


def test_every_metric_is_on_the_dashboard() -> None:
    shown = " ".join(PANELS.values())
    assert {name for name in KNOWN if not re.search(rf"\b{name}(_bucket)?\b", shown)} == set()


def test_the_files_that_docs_name_are_there() -> None:
    for name in ("prometheus/prometheus.yml", "prometheus/prometheus-consul.yml", "grafana/cloudx.json"):
        assert (ROOT / "deploy" / name).is_file()
