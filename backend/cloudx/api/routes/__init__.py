"""One blueprint for each resource; a route parses a schema, calls one service and shows what it returned."""

from . import (
    audit,
    canaries,
    diff,
    documents,
    health,
    lists,
    metrics,
    nodes,
    policy,
    probes,
    results,
    scans,
    system,
    tokens,
    work,
)

ALL = (
    health.blueprint,
    scans.blueprint,
    results.blueprint,
    diff.blueprint,
    nodes.blueprint,
    work.blueprint,
    policy.scopes,
    policy.exclusions,
    canaries.blueprint,
    lists.blueprint,
    tokens.blueprint,
    audit.blueprint,
    probes.blueprint,
    system.blueprint,
    metrics.blueprint,
    documents.blueprint,
)
