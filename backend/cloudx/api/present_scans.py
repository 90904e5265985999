"""Scans as the API shows them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import orjson

from cloudx.domain.chunks import ChunkState
from cloudx.domain.coverage import Coverage
from cloudx.domain.proof.tries import assumes
from cloudx.domain.scans import Scan
from cloudx.domain.tools import UNBOUNDED_PPS, Tool
from cloudx.services.ledger.records import ScanSummary
from cloudx.services.results.document import ResultsDocument
from cloudx.services.scans.plan import ScanPlan
from cloudx.services.scans.view import ChunkProof, ScanView, unit_of


def show_listed_scan(view: ScanView[ScanSummary], results: ResultsDocument) -> dict[str, Any]:
    """A scan in a list."""
    return _show(view, results, view.scan.target_truncated)


def _show(view: ScanView[Any], results: ResultsDocument, target_truncated: bool) -> dict[str, Any]:
    scan = view.scan
    return {
        "job_id": scan.id,
        "tool": scan.tool,
        "target": scan.target_text,
        "target_truncated": target_truncated,
        "target_count": scan.target_count,
        "scan_type": scan.type_name,
        "status": scan.status,
        "waits_until": view.waits_until,
        "paused": scan.hold.is_paused and not scan.status.is_final,
        "progress": view.progress,
        "results": orjson.Fragment(results.json) if results.json is not None else None,
        "results_truncated": results.truncated,
        "results_url": f"/api/scans/{scan.id}/results",
        "created_at": scan.created_at,
        "name": scan.name,
        "error": scan.error,
        "then": {"tool": Tool.NMAP, "scan_type": scan.then_type} if scan.then_type else None,
    }


def show_scan_alone(view: ScanView[Scan], results: ResultsDocument) -> dict[str, Any]:
    """A scan with everything that is known of it."""
    scan, tally = view.scan, view.tally
    return _show(view, results, target_truncated=False) | {
        "ports": str(scan.ports) if scan.ports else None,
        "priority": scan.priority,
        "rate": scan.asked_rate_pps,
        "timeout_seconds": scan.timeout_seconds,
        "started_at": scan.started_at,
        "finished_at": scan.finished_at,
        "eta_seconds": view.eta_seconds,
        "created_by": scan.created_by,
        "max_workers": scan.max_workers,
        "retries": scan.retries,
        "budget_seconds": scan.budget_seconds,
        "rate_per_prefix": scan.rate_per_prefix.as_asked() or None,
        "resolve": scan.resolve,
        "waiting_reason": view.waiting_reason,
        "paused_at": None if scan.status.is_final else scan.hold.paused_at,
        "paused_by": None if scan.status.is_final else scan.hold.paused_by,
        "warnings": list(view.warnings),
        "coverage": show_coverage(view),
        "chunks": {
            "pending": tally.chunks_pending,
            "leased": tally.chunks_leased,
            "done": tally.chunks_done,
            "failed": tally.chunks_failed,
            "cancelled": tally.chunks_cancelled,
        },
        "workers": [
            {"node_id": share.node_id, "chunks_done": share.chunks_done, "rate": share.rate_pps}
            for share in view.workers
        ],
    }


def show_coverage(view: ScanView[Scan]) -> dict[str, Any]:
    """The sums of the proof."""
    coverage = view.coverage
    return {
        "unit": f"{unit_of(view.scan)}s",
        **_show_counts(coverage),
        "stages": [
            {"tool": stage.tool, "unit": f"{stage.unit}s", **_show_counts(stage.coverage)} for stage in view.stages
        ],
        "packets_sent": view.packets_sent,
        "assumes": asdict(assumes(view.scan)),
    }


def _show_counts(coverage: Coverage) -> dict[str, int]:
    return {
        "planned": coverage.planned,
        "completed": coverage.completed,
        "excluded": coverage.excluded,
        "failed": coverage.failed,
        "remaining": coverage.remaining,
        "not_reached": coverage.not_reached,
    }


def show_proof_head(view: ScanView[Scan]) -> dict[str, Any]:
    """The proof before its chunks."""
    return show_coverage(view) | {
        "scan_id": view.scan.id,
        "status": view.scan.status,
        "balances": view.coverage.balances,
        "excluded_at_submit": view.scan.excluded_addresses * view.scan.units_per_address,
    }


def show_chunk(proof: ChunkProof) -> dict[str, Any]:
    """One chunk of the proof."""
    record = proof.record
    return {
        "stage": proof.stage,
        "number": record.span.number,
        "state": record.state,
        "units": record.span.units,
        "excluded": record.excluded_units,
        "failed": record.span.units if record.state is ChunkState.FAILED else record.failed_units,
        "sent_share": record.sent_share,
        "addresses": proof.addresses.texts(),
        "ports": str(proof.ports) if proof.ports else None,
        "node_id": record.node_id,
        "attempt": record.attempt,
        "error": record.last_error,
        "attempts": [
            {
                "attempt": attempt.attempt,
                "node_id": attempt.node_id,
                "worker_id": attempt.worker_id,
                "started_at": attempt.started_at,
                "ended_at": attempt.ended_at,
                "outcome": attempt.outcome,
                "packets_sent": attempt.packets_sent,
            }
            for attempt in proof.attempts
        ],
    }


def show_plan(plan: ScanPlan) -> dict[str, Any]:
    """A scan that was not submitted."""
    scan = plan.scan
    return {
        "tool": scan.tool,
        "scan_type": scan.type_name,
        "ports": str(scan.ports) if scan.ports else None,
        "target_count": scan.target_count,
        "unit": "hosts" if scan.counts_hosts else "probes",
        "planned": plan.planned,
        "excluded": plan.excluded,
        "excluded_ranges": plan.excluded_ranges,
        "probes": plan.probes,
        "chunks": plan.chunks,
        "seconds": plan.seconds,
        "rate": plan.rate_pps if plan.rate_pps < UNBOUNDED_PPS else None,
        "nodes": plan.node_ids,
        "warnings": plan.warnings,
    }
