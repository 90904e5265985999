"""Why Nomad found no machine for a group."""

from __future__ import annotations

from typing import Any


def placement_reason(metric: dict[str, Any]) -> str:
    """Why no machine took a group, from an AllocMetric, in the words of `nomad job status`."""
    evaluated = metric["NodesEvaluated"]
    if not evaluated:
        return "no machine is eligible in its datacenters and node pool"
    reasons = [f"{count} of {evaluated} machines fail: {what}" for what, count in _items(metric, "ConstraintFiltered")]
    reasons += [
        f"{count} of {evaluated} machines are of class {what}" for what, count in _items(metric, "ClassFiltered")
    ]
    reasons += [
        f"{count} of {evaluated} machines have too little left of: {what}"
        for what, count in _items(metric, "DimensionExhausted")
    ]
    reasons += [f"over its quota of: {what}" for what in metric.get("QuotaExhausted") or []]
    return "; ".join(reasons) or f"none of {evaluated} machines took it"


def _items(metric: dict[str, Any], name: str) -> list[tuple[str, int]]:
    return sorted((metric.get(name) or {}).items())
