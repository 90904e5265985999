"""The errors that people meet, each with a stable code and a sentence that names the remedy."""

from __future__ import annotations

from typing import Any


class CloudxError(Exception):
    """Base of all errors that are shown to people; `code` is part of the contract."""

    code = "internal_error"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class InvalidInput(CloudxError):
    """A field of a request is not usable; `details["field"]` names it."""

    code = "invalid_input"

    def __init__(self, field: str, message: str, **details: Any) -> None:
        super().__init__(message, field=field, **details)
        self.field = field


class TooLarge(CloudxError):
    """A request or a plan is over a size bound."""

    code = "too_large"


class TargetOutOfScope(CloudxError):
    """Part of the targets lies in no live scope, so scanning it is not authorised."""

    code = "target_out_of_scope"


class NotFound(CloudxError):
    """The named thing does not exist."""

    code = "not_found"


class NodeNotRegistered(CloudxError):
    """A heartbeat came from a node that never registered."""

    code = "node_not_registered"


class NoCapableNode(CloudxError):
    """No live node can run the scan."""

    code = "no_capable_node"


class Conflict(CloudxError):
    """The request contradicts something that exists."""

    code = "conflict"


class IllegalTransition(Conflict):
    """A scan or chunk cannot go from its state to the requested one."""

    code = "illegal_transition"


class Unauthenticated(CloudxError):
    """No credential, or one that is unknown, expired or badly signed."""

    code = "unauthenticated"


class Forbidden(CloudxError):
    """The credential is good but its role may not do this."""

    code = "forbidden"


class RateLimited(CloudxError):
    """Too many requests; `details["retry_after_seconds"]` says how long to wait."""

    code = "rate_limited"


class LeaseLost(CloudxError):
    """The chunk belongs to another attempt now; the findings of this one must be thrown away."""

    code = "lease_lost"


class DependencyUnavailable(CloudxError):
    """The database or another service does not answer; the request can be tried again."""

    code = "dependency_unavailable"


class ClusterUnavailable(DependencyUnavailable):
    """Consul, Nomad, Vault or the cluster's database does not answer, or refuses what set-up asks of it."""

    code = "cluster_unavailable"


class BadConfiguration(CloudxError):
    """A setting is unknown or has a bad value; the start stops with this one line."""

    code = "bad_configuration"
