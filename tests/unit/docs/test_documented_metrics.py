"""docs/metrics.md has every metric with its labels, a question and a query; and nothing else."""

from __future__ import annotations

import importlib
import pkgutil
import re

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

import cloudx.api.metrics
from fixtures.doc_pages import assert_same, text_of

PAGE = "docs/metrics.md"
_ROW = re.compile(r"^\| `(cloudx_\w+)` ([SI]) \| (.*?) ?\| (.+?) \| `(.+)` \|$", re.M)
ROWS = {name: (labels, words, query) for name, _, labels, words, query in _ROW.findall(text_of(PAGE))}


def _metrics() -> dict[str, MetricWrapperBase]:
    """Every metric that a module of the API's metrics makes, by the name that Prometheus sees."""
    found: dict[str, MetricWrapperBase] = {}
    for module in pkgutil.iter_modules(cloudx.api.metrics.__path__):
        for value in vars(importlib.import_module(f"cloudx.api.metrics.{module.name}")).values():
            for metric in _within(value):
                found[metric._name + ("_total" if isinstance(metric, Counter) else "")] = metric
    return found


def _within(value: object) -> list[MetricWrapperBase]:
    if isinstance(value, Counter | Gauge | Histogram):
        return [] if value._labelvalues else [value]
    if isinstance(value, dict):
        return [metric for entry in value.values() for metric in _within(entry)]
    return [metric for entry in value for metric in _within(entry)] if isinstance(value, tuple) else []


METRICS = _metrics()


def test_every_metric_has_its_row_and_every_row_its_metric() -> None:
    assert len(METRICS) > 30
    assert_same(
        [name for name, *_ in _ROW.findall(text_of(PAGE))],
        METRICS,
        PAGE + " lacks a row for `{}`: | `{}` S or I | labels | what it answers | `a query` |",
        PAGE + " has a row for `{}`, and the API has no such metric",
    )


@pytest.mark.parametrize("name", sorted(METRICS.keys() & ROWS.keys()))
def test_a_row_names_the_labels_and_asks_for_that_metric(name: str) -> None:
    labels, _, query = ROWS[name]
    assert re.findall(r"`(\w+)`", labels) == list(METRICS[name]._labelnames), f"{PAGE}, {name}: the labels differ"
    assert name in query, f"{PAGE}: the query of {name} asks for something else"


@pytest.mark.parametrize("name", sorted(METRICS))
def test_names_follow_prometheus_rules(name: str) -> None:
    """https://prometheus.io/docs/practices/naming/: base units, _total for counters alone."""
    assert name.startswith("cloudx_")
    assert not re.search(r"_(ms|milliseconds|minutes|hours|mb|percent|pps)(_|$)", name)
    assert name.endswith("_total") == isinstance(METRICS[name], Counter)
