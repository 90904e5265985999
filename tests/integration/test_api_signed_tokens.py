"""Clerk sessions and Nomad workload identities, with real RSA keys and a JWKS served over HTTP."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from fixtures.servers.service import free_port

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC_PEM = (
    KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
)
APP = "https://app.example.org"
BEAT = {"node_id": "vps1", "updated_at": "2026-01-01T00:00:00Z"}


class Issuer:
    """An HTTP server with a JWKS at both places we look for one."""

    def __init__(self) -> None:
        self.fetched = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetched += 1
                jwk = RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True) | {"kid": "k1", "use": "sig", "alg": "RS256"}
                body = json.dumps({"keys": [jwk]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def session(self, key: Any = KEY, algorithm: str = "RS256", kid: str | None = "k1", **claims: Any) -> str:
        now = int(time.time())
        full = {"iss": self.url, "sub": "user_1", "iat": now, "nbf": now - 5, "exp": now + 60, "azp": APP, **claims}
        headers = {"kid": kid} if kid else {}
        return jwt.encode({k: v for k, v in full.items() if v is not None}, key, algorithm, headers)

    def identity(self, **claims: Any) -> str:
        own = {"iss": None, "azp": None, "nomad_job_id": "node", "nomad_allocation_id": "a1", "aud": "cloudx"}
        place = {"nomad_namespace": "default", "nomad_node_id": "vps1"}
        return self.session(**(own | place | claims))


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    running = Issuer()
    yield running
    running.stop()


@pytest.fixture
def clerk_api(new_api, issuer):
    return new_api(CLOUDX_CLERK_ISSUER=issuer.url, CLOUDX_CLERK_AUTHORIZED_PARTIES=APP)


@pytest.fixture
def nomad_api(new_api, issuer):
    return new_api(CLOUDX_NOMAD_JWKS_URL=f"{issuer.url}/.well-known/jwks.json")


def test_a_session_enters_as_viewer_unless_its_claims_say_more(clerk_api, issuer):
    assert clerk_api.get("/api/scans", token=issuer.session()).status_code == 200
    assert clerk_api.get("/api/tokens", token=issuer.session()).status_code == 403


@pytest.mark.parametrize("claim", ["metadata", "public_metadata"])
def test_the_role_comes_from_the_metadata(clerk_api, issuer, claim):
    assert clerk_api.get("/api/tokens", token=issuer.session(**{claim: {"role": "admin"}})).status_code == 200


@pytest.mark.parametrize("role", ["root", "node", "", 7, ["admin"], {"admin": True}])
def test_a_role_nobody_knows_gives_the_least_even_where_the_default_is_more(new_api, issuer, role):
    api = new_api(CLOUDX_CLERK_ISSUER=issuer.url, CLOUDX_CLERK_DEFAULT_ROLE="admin")
    session = issuer.session(metadata={"role": role})
    assert api.get("/api/scans", token=session).status_code == 200
    assert api.get("/api/tokens", token=session).status_code == 403


def test_the_default_role_is_a_setting(new_api, issuer):
    api = new_api(CLOUDX_CLERK_ISSUER=issuer.url, CLOUDX_CLERK_DEFAULT_ROLE="operator")
    api.register()
    assert api.post("/api/scans", {"target": "127.0.0.1", "tool": "nmap"}, token=issuer.session()).status_code == 202


def unsigned(claims: dict[str, Any]) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none', 'typ': 'JWT', 'kid': 'k1'})}.{part(claims)}."


def hs256_with_the_public_key(issuer: Issuer) -> str:
    """The classic confusion: the public key as an HMAC secret. PyJWT will not make one, so it is made by hand."""
    import hashlib
    import hmac

    head, body, _ = issuer.session(key="x" * 32, algorithm="HS256").split(".")
    mac = hmac.new(PUBLIC_PEM.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def bad_sessions(issuer: Issuer) -> dict[str, str]:
    now = int(time.time())
    good = issuer.session()
    return {
        "signed by another key": issuer.session(key=OTHER_KEY),
        "unsigned": unsigned({"iss": issuer.url, "sub": "u", "iat": now, "nbf": now, "exp": now + 60, "azp": APP}),
        "HS256 with the public key": hs256_with_the_public_key(issuer),
        "expired": issuer.session(exp=now - 60),
        "not valid yet": issuer.session(nbf=now + 600),
        "of another issuer": issuer.session(iss="https://evil.example.org"),
        "for another site": issuer.session(azp="https://evil.example.org"),
        "for no site": issuer.session(azp=None),
        "with a key id nobody has": issuer.session(kid="k2"),
        "without a key id": issuer.session(kid=None),
        "without exp": issuer.session(exp=None),
        "without nbf": issuer.session(nbf=None),
        "without sub": issuer.session(sub=None),
        "without iat": issuer.session(iat=None),
        "pending": issuer.session(sts="pending"),
        "with a changed signature": good[:-8] + ("A" * 8 if not good.endswith("A" * 8) else "B" * 8),
        "with three empty parts": "..",
        "not base64": "a!.b!.c!",
    }


def test_a_session_with_anything_wrong_is_refused(clerk_api, issuer):
    entered = {
        why: status
        for why, token in bad_sessions(issuer).items()
        if (status := clerk_api.get("/api/scans", token=token).status_code) != 401
    }
    assert entered == {}
    assert clerk_api.get("/api/scans", token=issuer.session()).status_code == 200, "the server knows the good one"


def test_unknown_key_ids_do_not_make_us_hammer_the_issuer(clerk_api, issuer):
    for number in range(20):
        clerk_api.get("/api/scans", token=issuer.session(kid=f"made-up-{number}"))
    assert issuer.fetched <= 2


def test_while_the_keys_cannot_be_had_the_answer_is_503_and_the_configured_tokens_work(new_api, issuer):
    nobody = f"http://127.0.0.1:{free_port()}"
    api = new_api(CLOUDX_CLERK_ISSUER=nobody)
    answer = api.get("/api/scans", token=issuer.session(iss=nobody))
    assert answer.status_code == 503 and answer.json["code"] == "dependency_unavailable"
    assert int(answer.headers["Retry-After"]) > 0
    assert api.get("/api/scans").status_code == 200


def test_keys_once_fetched_outlive_the_issuer(clerk_api, issuer):
    assert clerk_api.get("/api/scans", token=issuer.session()).status_code == 200
    issuer.stop()
    assert clerk_api.get("/api/scans", token=issuer.session()).status_code == 200


@pytest.mark.parametrize("pem", [PUBLIC_PEM, PUBLIC_PEM.replace("\n", "\\n")])
def test_with_a_pem_no_network_is_needed(new_api, issuer, pem):
    issuer_name = "https://clerk.example.org"
    api = new_api(CLOUDX_CLERK_ISSUER=issuer_name, CLOUDX_CLERK_JWT_KEY=pem)
    assert api.get("/api/scans", token=issuer.session(iss=issuer_name, kid=None)).status_code == 200
    assert api.get("/api/scans", token=issuer.session(iss=issuer_name, key=OTHER_KEY)).status_code == 401
    assert issuer.fetched == 0


def test_a_session_is_no_node(clerk_api, issuer):
    session = issuer.session(metadata={"role": "admin"})
    assert clerk_api.post("/api/nodes/heartbeat", BEAT, token=session).status_code == 403


def test_a_workload_identity_registers_and_beats_and_does_nothing_else(nomad_api, issuer):
    body = {"node_id": "vps1", "hostname": "vps1", "ip": "10.0.0.1"}
    assert nomad_api.post("/api/nodes/register", body, token=issuer.identity()).status_code == 201
    assert nomad_api.post("/api/nodes/heartbeat", BEAT, token=issuer.identity(aud=["cloudx", "x"])).status_code == 200
    assert nomad_api.get("/api/nodes", token=issuer.identity()).status_code == 403
    assert nomad_api.get("/api/scans", token=issuer.identity()).status_code == 403


@pytest.mark.parametrize("claim", ["nomad_node_id", "node_id"])
def test_an_identity_that_carries_its_node_speaks_for_that_one_alone(nomad_api, issuer, claim):
    nomad_api.register("vps1")
    nomad_api.register("vps2")
    token = issuer.identity(**({"nomad_node_id": None} | {claim: "vps1"}))
    assert nomad_api.post("/api/nodes/heartbeat", BEAT, token=token).status_code == 200
    assert nomad_api.post("/api/nodes/heartbeat", BEAT | {"node_id": "vps2"}, token=token).status_code == 403


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "vault.io"},
        {"aud": ["consul.io", "vault.io"]},
        {"exp": 1},
        {"key": OTHER_KEY},
        {"nomad_allocation_id": None},
        {"aud": None},
        {"aud": []},
        {"nomad_job_id": "web"},
        {"nomad_job_id": "node-2"},
        {"nomad_namespace": "other"},
        {"nomad_namespace": None},
        {"nomad_node_id": None},
    ],
)
def test_an_identity_for_somebody_else_or_badly_signed_is_refused(nomad_api, issuer, claims):
    assert nomad_api.post("/api/nodes/heartbeat", BEAT, token=issuer.identity(**claims)).status_code == 401


def test_which_jobs_are_nodes_is_a_setting(new_api, issuer):
    api = new_api(
        CLOUDX_NOMAD_JWKS_URL=f"{issuer.url}/.well-known/jwks.json",
        CLOUDX_NOMAD_NODE_JOBS="agents,more-agents",
        CLOUDX_NOMAD_NAMESPACE="scanning",
        CLOUDX_NOMAD_AUDIENCE="cloudx-eu",
    )
    body = {"node_id": "vps1", "hostname": "vps1", "ip": "10.0.0.1"}
    ours = {"nomad_job_id": "more-agents", "nomad_namespace": "scanning", "aud": "cloudx-eu"}
    assert api.post("/api/nodes/register", body, token=issuer.identity(**ours)).status_code == 201
    for wrong in ({"nomad_job_id": "node"}, {"nomad_namespace": "default"}, {"aud": "cloudx"}):
        assert api.post("/api/nodes/register", body, token=issuer.identity(**(ours | wrong))).status_code == 401


def test_without_the_settings_no_signed_token_enters(api, issuer):
    assert api.get("/api/scans", token=issuer.session()).status_code == 401
    assert api.post("/api/nodes/heartbeat", BEAT, token=issuer.identity()).status_code == 401
