"""Consul's access control, by its HTTP API (https://developer.hashicorp.com/consul/api-docs/acl).

Not by python-consul2, which has neither login methods nor binding rules.
"""

from __future__ import annotations

from typing import Any

import requests
from typing_extensions import override

from cloudx.cluster.identity_ports import BindingRule, ConsulAcl
from cloudx.domain.errors import ClusterUnavailable

ACL_TIMEOUT_SECONDS = 10.0


class HttpConsulAcl(ConsulAcl):
    """Implements ConsulAcl."""

    def __init__(self, address: str, token: str | None) -> None:
        self._url = f"{address.rstrip('/')}/v1/acl"
        self._address = address
        self._session = requests.Session()
        if token:
            self._session.headers["X-Consul-Token"] = token

    @override
    def put_policy(self, name: str, rules: str) -> None:
        self._put_by_name("policy", name, {"Name": name, "Rules": rules, "Description": "Cloud-X"})

    @override
    def put_role(self, name: str, policies: tuple[str, ...]) -> None:
        held = [{"Name": policy} for policy in policies]
        self._put_by_name("role", name, {"Name": name, "Policies": held, "Description": "Cloud-X"})

    @override
    def put_token(self, secret: str, description: str, policies: tuple[str, ...]) -> None:
        for token in self._call("GET", "tokens"):
            if token["Description"] == description:
                self._call("DELETE", f"token/{token['AccessorID']}")
        held = [{"Name": policy} for policy in policies]
        self._call("PUT", "token", {"SecretID": secret, "Description": description, "Policies": held})

    @override
    def put_jwt_method(self, name: str, jwks_url: str, audience: str, claims: tuple[str, ...]) -> None:
        config = {
            "JWKSURL": jwks_url,
            "JWTSupportedAlgs": ["RS256"],
            "BoundAudiences": [audience],
            "ClaimMappings": {claim: claim for claim in claims},
        }
        method = {"Name": name, "Type": "jwt", "TokenLocality": "local", "Description": "Cloud-X", "Config": config}
        known = {each["Name"] for each in self._call("GET", "auth-methods")}
        self._call("PUT", f"auth-method/{name}" if name in known else "auth-method", method)

    @override
    def keep_binding_rules(self, method: str, rules: tuple[BindingRule, ...]) -> None:
        # Add what is missing first, so that no login fails meanwhile.
        known = {
            BindingRule(each["Selector"], each["BindType"], each["BindName"]): each["ID"]
            for each in self._call("GET", f"binding-rules?authmethod={method}")
        }
        for rule in rules:
            if rule not in known:
                body = {"AuthMethod": method, "Selector": rule.selector, "BindType": rule.kind, "BindName": rule.name}
                self._call("PUT", "binding-rule", body)
        for rule, rule_id in known.items():
            if rule not in rules:
                self._call("DELETE", f"binding-rule/{rule_id}")

    def _put_by_name(self, kind: str, name: str, body: dict[str, Any]) -> None:
        listed = self._call("GET", "policies" if kind == "policy" else "roles")
        known = {each["Name"]: each["ID"] for each in listed}
        self._call("PUT", f"{kind}/{known[name]}" if name in known else kind, body)

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            answer = self._session.request(method, f"{self._url}/{path}", json=body, timeout=ACL_TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise ClusterUnavailable(f"Consul at {self._address} does not answer. Check CONSUL_HTTP_ADDR.") from error
        if not answer.ok:
            raise ClusterUnavailable(
                f"Consul refuses {method} acl/{path.partition('?')[0]} "
                f"({answer.status_code} {answer.text.strip()[:200]}). "
                "Check that CONSUL_HTTP_TOKEN may write ACLs."
            )
        return answer.json()
