"""One blueprint a resource; a view parses a schema, calls one service and returns what it says."""

from . import documents, health, metrics, nodes, policy, results, scans, system, tokens

ALL = (
    health.blueprint,
    scans.blueprint,
    results.blueprint,
    nodes.blueprint,
    policy.scopes,
    policy.exclusions,
    tokens.blueprint,
    system.blueprint,
    metrics.blueprint,
    documents.blueprint,
)
