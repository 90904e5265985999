"""The node agents in Consul's catalog, with the state of their checks, by a blocking query."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from consul import base
from consul.std import HTTPClient
from typing_extensions import override

from cloudx.domain.errors import BadConfiguration, DependencyUnavailable
from cloudx.domain.nodes import Check, CheckStatus, word_of
from cloudx.services.fleet.ports import Answer, BlockingQuery, NodeInstance

NODE_SERVICE = "cloudx-node"
CONNECT_SECONDS = 3.0
_OUTPUT_LIMIT = 2000
_LONGEST_WAIT_FACTOR = 1.07  # the sixteenth that the server may add
_GRACE_SECONDS = 2.0
_HTTP_PREFIX = re.compile(r"^HTTP GET \S+: (\d{3} [\w -]*?) Output: ")


class ConsulClient:
    """Reads one Consul agent; `token` is called for each request, since its file may change. Not thread-safe.

    It uses python-consul2's transport and errors without its `Consul` class, in which CONSUL_HTTP_ADDR and
    CONSUL_HTTP_TOKEN of the environment take precedence over the arguments.
    """

    def __init__(self, address: str, token: Callable[[], str | None]) -> None:
        scheme, host, port = consul_address(address)
        self._url = f"{scheme}://{host}:{port}"
        self._http = HTTPClient(host, port, scheme, verify=True)
        # The agent is on this machine: compressing a fleet takes it longer than sending it plain.
        self._http.session.headers["Accept-Encoding"] = "identity"
        self._http.session.trust_env = host not in ("127.0.0.1", "localhost", "[::1]")
        self._token = token

    def ask(self, path: str, params: list[tuple[str, Any]], answer_seconds: float) -> tuple[int, Callable[[], Any]]:
        """The index, 0 where there is none, and a function that decodes the body.

        Raises DependencyUnavailable, where a right is missing too.
        """
        token = self._token()
        # The library has one timeout for all requests, so each request sets it.
        self._http.timeout = (CONNECT_SECONDS, answer_seconds)
        try:
            response = self._http.get(_checked, path, params, {"X-Consul-Token": token} if token else {})
        except base.ACLPermissionDenied as error:
            raise DependencyUnavailable(f"{self._url} refuses the token ({error}). {_ACCESS_REMEDY}") from error
        except (requests.RequestException, base.ConsulException) as error:
            raise DependencyUnavailable(self._unreachable(error)) from error
        if _is_withheld(response, token):
            raise DependencyUnavailable(f"{self._url} does not show all of it. {_ACCESS_REMEDY}")
        return int(response.headers.get("X-Consul-Index", 0)), lambda: orjson.loads(response.content)

    def _unreachable(self, error: Exception) -> str:
        problem = f"{self._url} does not answer ({type(error).__name__})"
        return f"{problem}. See whether the Consul agent runs there: `consul members`."


class ConsulCatalog(BlockingQuery[tuple[NodeInstance, ...]]):
    """Queries the node agents, those with failing checks too."""

    def __init__(self, address: str, token: Callable[[], str | None], service: str = NODE_SERVICE) -> None:
        self._client = ConsulClient(address, token)
        self._path = f"/v1/health/service/{service}"

    @override
    def __call__(self, index: int, wait_seconds: float) -> Answer[tuple[NodeInstance, ...]]:
        params = [("index", index), ("wait", f"{wait_seconds:g}s")] if index else []
        answered_index, load = self._client.ask(
            self._path, params, wait_seconds * _LONGEST_WAIT_FACTOR + _GRACE_SECONDS
        )
        return Answer(answered_index, lambda: parse_instances(load()))


_ACCESS_REMEDY = (
    "CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE needs a policy with `service_prefix` and `node_prefix` read "
    "(consul/policies has one)."
)


def consul_address(address: str) -> tuple[str, str, int]:
    """(scheme, host, port) of CONSUL_HTTP_ADDR in any of Consul's own forms. Raises BadConfiguration."""
    full = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(full)
        port = parts.port or (443 if parts.scheme == "https" else 8500)
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadConfiguration(f"CONSUL_HTTP_ADDR: takes http://HOST:PORT or https://HOST:PORT, not {address!r}.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return parts.scheme, host, port


def _is_withheld(response: base.Response, token: str | None) -> bool:
    """Whether Consul left nodes out because a right is missing; requests without a token do not learn it directly."""
    if token is None:
        return bool(response.headers.get("X-Consul-Default-ACL-Policy") == "deny" and response.content.strip() == b"[]")
    return bool(response.headers.get("X-Consul-Results-Filtered-By-ACLs") == "true")


def _checked(response: base.Response) -> base.Response:
    base.CB._status(response)
    return response


def parse_instances(entries: list[dict[str, Any]]) -> tuple[NodeInstance, ...]:
    """The instances in an answer of /v1/health/service, in its order."""
    return tuple(_instance(entry) for entry in entries)


def _instance(entry: dict[str, Any]) -> NodeInstance:
    machine, service = entry["Node"], entry["Service"]
    meta = service.get("Meta") or {}
    return NodeInstance(
        node_id=meta.get("node_id") or machine["Node"],
        hostname=meta.get("hostname") or machine["Node"],
        ip=service.get("Address") or machine["Address"],
        version=meta.get("version", ""),
        checks=tuple(_check(check) for check in entry["Checks"]),
        created_index=service["CreateIndex"],
        machine=machine["Node"],
    )


def _check(check: dict[str, Any]) -> Check:
    check_id, name = check["CheckID"], check["Name"]
    if check_id.startswith("_nomad-check-"):  # Nomad's ids are hashes; a check's name is its id to people
        check_id = word_of(name) or check_id
    return Check(check_id, name, CheckStatus(check["Status"]), shown_output(check["Output"]))


def shown_output(output: str) -> str:
    """A check's output on one line, without the address of its request; unprintable characters become spaces."""
    text = _HTTP_PREFIX.sub(_telling_status, output)[:_OUTPUT_LIMIT].strip()
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def _telling_status(preface: re.Match[str]) -> str:
    # A check answers 429 to mean "warning", and its state tells that already.
    return "" if preface[1].startswith(("200", "429")) else f"{preface[1]}: "
