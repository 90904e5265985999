"""The cluster's identities on real Consul, Nomad, Vault and PostgreSQL: who gets in, as what, and who does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg2
import pytest
import requests

from cloudx.cluster.adapters.consul_acl import HttpConsulAcl
from cloudx.cluster.adapters.nomad_acl import NomadAclClient
from cloudx.cluster.adapters.postgres_roles import PostgresRoles
from cloudx.cluster.adapters.vault import HvacVaultSetup
from cloudx.cluster.identity_ports import BindingRule, DatabaseLogin
from cloudx.domain.errors import ClusterUnavailable
from fixtures.servers.cluster_servers import MANAGEMENT_TOKEN

NOBODY = "http://127.0.0.1:1"


def test_a_second_set_up_changes_nothing_and_ends_nobodys_access(identities):
    def state() -> list[Any]:
        return [
            [identities.consul.call("GET", f"/v1/acl/{kind}") for kind in ("roles", "binding-rules")],
            [each["Name"] for each in identities.consul.call("GET", "/v1/acl/policies")],
            [identities.vault.call("GET", f"/v1/{p}")["data"] for p in ("auth/jwt-nomad/role/cloudx-backend",)],
            identities.vault.call("GET", "/v1/database/config/cloudx")["data"],
            identities.vault.call("GET", "/v1/secret/data/cloudx/api")["data"],
            [(p["Name"], p["Description"]) for p in identities.nomad.call("GET", "/v1/acl/policies")],
        ]

    url, before = identities.database_login("backend"), state()
    for role in before[0][0]:
        role.pop("ModifyIndex"), role.pop("Hash")
    identities.set_up.run(identities.plan)
    after = state()
    for role in after[0][0]:
        role.pop("ModifyIndex"), role.pop("Hash")
    assert after == before
    psycopg2.connect(url).close()


def test_a_policy_that_was_edited_is_corrected(identities):
    (policy,) = [p for p in identities.consul.call("GET", "/v1/acl/policies") if p["Name"] == "cloudx-fabio"]
    path = f"/v1/acl/policy/{policy['ID']}"
    identities.consul.call("PUT", path, {"Name": "cloudx-fabio", "Rules": 'operator = "write"'})
    identities.set_up.run(identities.plan)
    assert identities.consul.call("GET", path)["Rules"] == identities.set_up.files.consul_job_policies["fabio"]


def test_a_binding_rule_that_is_not_ours_is_taken_away_and_ours_stay(identities):
    def rules() -> set[str]:
        return {
            rule["ID"] for rule in identities.consul.call("GET", "/v1/acl/binding-rules?authmethod=nomad-workloads")
        }

    before = rules()
    stray = {"AuthMethod": "nomad-workloads", "BindType": "policy", "BindName": "global-management", "Selector": ""}
    identities.consul.call("PUT", "/v1/acl/binding-rule", stray)
    assert len(rules()) == len(before) + 1
    identities.set_up.run(identities.plan)
    assert rules() == before


@pytest.mark.parametrize(("job", "service"), [("backend", "cloudx-backend"), ("node", "cloudx-node")])
def test_no_identity_of_a_service_becomes_a_token_of_consul(identities, job, service):
    """Agents register services, by tokens that say what their machine may run."""
    answer = identities.consul_login(identities.issuer.identity("consul.io", job, nomad_service=service))
    assert answer.status_code == 403 and "SecretID" not in answer.text


def test_the_backends_task_reads_the_fleet_in_consul_and_writes_nothing(identities):
    login = identities.consul_login(identities.issuer.identity("consul.io", "backend", nomad_task="backend"))
    token = {"X-Consul-Token": login.json()["SecretID"]}
    nodes = requests.get(f"{identities.consul.url}/v1/catalog/nodes", headers=token, timeout=5)
    assert [node["Node"] for node in nodes.json()] == ["consul-of-the-test"]
    seen = requests.get(f"{identities.consul.url}/v1/catalog/services", headers=token, timeout=5).json()
    assert set(seen) <= {"cloudx-node"}
    url = f"{identities.consul.url}/v1/agent/service/register"
    assert requests.put(url, json={"Name": "cloudx-node"}, headers=token, timeout=5).status_code == 403
    assert requests.put(f"{identities.consul.url}/v1/kv/x", data="x", headers=token, timeout=5).status_code == 403


@pytest.mark.parametrize(
    ("audience", "job", "namespace", "task"),
    [
        ("consul.io", "somebody", "default", "somebody"),
        ("consul.io", "scan", "default", "backend"),
        ("consul.io", "backend", "default", "migrate"),
        ("consul.io", "backend", "other", "backend"),
        ("vault.io", "backend", "default", "backend"),
        ("cloudx", "backend", "default", "backend"),
    ],
)
def test_consul_gives_no_token_to_another_job_task_namespace_or_audience(identities, audience, job, namespace, task):
    identity = identities.issuer.identity(audience, job, namespace=namespace, nomad_task=task)
    answer = identities.consul_login(identity)
    assert answer.status_code in (403, 500)  # 500 is Consul's word for a wrong audience
    assert "SecretID" not in answer.text


def test_vault_gives_the_backend_its_own_login_and_secret_and_no_others(identities):
    identity = identities.issuer.identity("vault.io", "backend", nomad_task="backend")
    token = identities.vault_login("cloudx-backend", identity).json()["auth"]["client_token"]

    def read(path: str) -> int:
        return requests.get(
            f"{identities.vault.url}/v1/{path}", headers={"X-Vault-Token": token}, timeout=10
        ).status_code

    assert read("secret/data/cloudx/api") == 200
    assert read("database/creds/backend") == 200
    others = ("database/creds/migrate", "database/creds/worker", "secret/data/cloudx/other", "sys/policies/acl")
    assert [read(path) for path in others] == [403] * 4


@pytest.mark.parametrize(
    ("role", "job", "task", "namespace", "audience"),
    [
        ("cloudx-backend", "scan", "backend", "default", "vault.io"),
        ("cloudx-backend", "backend", "migrate", "default", "vault.io"),
        ("cloudx-migrate", "backend", "backend", "default", "vault.io"),
        ("cloudx-scan", "backend", "backend", "default", "vault.io"),
        ("cloudx-backend", "scan", "scan", "default", "vault.io"),
        ("cloudx-schedule", "backend", "backend", "default", "vault.io"),
        ("cloudx-backend", "schedule", "schedule", "default", "vault.io"),
        ("cloudx-backend", "backend", "backend", "other", "vault.io"),
        ("cloudx-backend", "backend", "backend", "default", "consul.io"),
    ],
)
def test_vault_refuses_another_job_task_namespace_or_audience(identities, role, job, task, namespace, audience):
    identity = identities.issuer.identity(audience, job, namespace=namespace, nomad_task=task)
    answer = identities.vault_login(role, identity)
    assert answer.status_code in (400, 403)
    assert "client_token" not in answer.text


def test_vault_refuses_an_identity_signed_by_another_key(identities):
    from fixtures.servers.identities import Issuer

    stranger = Issuer()
    identity = stranger.identity("vault.io", "backend", nomad_task="backend")
    stranger.close()
    assert identities.vault_login("cloudx-backend", identity).status_code in (400, 403)


def test_nomad_gives_the_backends_policy_to_that_job_alone(identities):
    policy = identities.nomad.call("GET", "/v1/acl/policy/cloudx-backend")
    assert (policy["JobACL"]["Namespace"], policy["JobACL"]["JobID"]) == ("default", "backend")


def test_nomad_has_the_control_nodes_pool_before_the_first_of_them_joins(identities):
    assert identities.nomad.call("GET", "/v1/node/pool/control")["Name"] == "control"


def test_nomads_first_token_is_made_once(identities):
    identities.set_up.nomad.bootstrap("99999999-2222-3333-4444-555555555555")
    denied = requests.get(
        f"{identities.nomad.url}/v1/acl/policies",
        headers={"X-Nomad-Token": "99999999-2222-3333-4444-555555555555"},
        timeout=5,
    )
    assert denied.status_code == 403


def test_the_admin_token_stays_what_it_was_made_as(identities):
    before = identities.set_up.admin_token()
    identities.set_up.run(replace(identities.plan, admin_token="cx_another"))
    assert identities.set_up.admin_token() == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "secret/data/cloudx/api", None),
        ("PUT", "secret/destroy/cloudx/api", {"versions": [1, 2, 3, 4, 5, 6, 7, 8, 9]}),
        ("DELETE", "secret/metadata/cloudx/api", None),
    ],
    ids=["deleted", "destroyed", "metadata-deleted"],
)
def test_an_admin_token_that_was_taken_out_of_vault_is_made_anew_and_then_stays(identities, method, path, body):
    before = identities.set_up.admin_token()
    identities.vault.call(method, f"/v1/{path}", body)
    assert identities.set_up.vault.read_secret("cloudx/api") == {}
    identities.set_up.run(identities.plan)
    made = identities.set_up.admin_token()
    assert made.startswith("cx_") and made != before
    identities.set_up.run(identities.plan)
    assert identities.set_up.admin_token() == made


def test_of_two_set_ups_at_once_the_second_keeps_what_the_first_wrote(identities, monkeypatch):
    """The other one writes between our look at the version and our write."""
    path, vault = "cloudx/raced", identities.set_up.vault
    look = vault.read_secret

    def look_and_lose(name: str) -> dict[str, str]:
        monkeypatch.setattr(vault, "read_secret", look)
        found: dict[str, str] = look(name)
        identities.vault.call("POST", f"/v1/secret/data/{name}", {"data": {"admin_token": "theirs"}})
        return found

    monkeypatch.setattr(vault, "read_secret", look_and_lose)
    vault.keep_secret(path, {"admin_token": "ours"})
    assert vault.read_secret(path) == {"admin_token": "theirs"}
    identities.vault.call("DELETE", f"/v1/secret/metadata/{path}")


def test_a_token_with_a_chosen_secret_can_be_given_again(identities):
    secret = "77777777-2222-3333-4444-555555555555"
    for _ in range(2):
        identities.set_up.consul.put_token(secret, "a test's", ("cloudx-fabio",))
    assert identities.consul.call("GET", "/v1/acl/token/self", params={"token": secret}) is not None
    held = [t for t in identities.consul.call("GET", "/v1/acl/tokens") if t["Description"] == "a test's"]
    assert len(held) == 1
    identities.consul.call("DELETE", f"/v1/acl/token/{held[0]['AccessorID']}")


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: HttpConsulAcl(NOBODY, None).put_policy("x", ""), "CONSUL_HTTP_ADDR"),
        (lambda: NomadAclClient(NOBODY, None).put_job_policy("x", "", "default", "x"), "NOMAD_ADDR"),
        (lambda: NomadAclClient(NOBODY, None).bootstrap("x"), "NOMAD_ADDR"),
        (lambda: HvacVaultSetup(NOBODY, None).put_policy("x", ""), "VAULT_ADDR"),
        (lambda: PostgresRoles("postgresql://x@127.0.0.1:1", "x").prepare(DatabaseLogin("x", "x")), "administrator"),
    ],
)
def test_a_server_that_does_not_answer_is_named_with_its_setting(act, said):
    with pytest.raises(ClusterUnavailable, match=said):
        act()


def test_a_server_that_refuses_our_token_says_which_token(identities):
    wrong = "00000000-2222-3333-4444-555555555555"
    for act, said in (
        (lambda: HttpConsulAcl(identities.consul.url, wrong).put_policy("x", ""), "CONSUL_HTTP_TOKEN"),
        (lambda: NomadAclClient(identities.nomad.url, wrong).put_job_policy("x", "", "default", "x"), "NOMAD_TOKEN"),
        (lambda: HvacVaultSetup(identities.vault.url, wrong).put_policy("x", ""), "VAULT_TOKEN"),
    ):
        with pytest.raises(ClusterUnavailable, match=said):
            act()


def test_rules_that_a_server_cannot_read_are_refused_with_its_words(identities):
    with pytest.raises(ClusterUnavailable, match="policy"):
        HttpConsulAcl(identities.consul.url, MANAGEMENT_TOKEN).put_policy("bad", "no { hcl")
    with pytest.raises(ClusterUnavailable, match="bad"):
        NomadAclClient(identities.nomad.url, MANAGEMENT_TOKEN).put_job_policy("bad", "no { hcl", "default", "x")


def test_a_rule_that_is_kept_is_not_made_anew(identities):
    rules = (BindingRule("value.nomad_job_id == x", "role", "none"),)
    acl = HttpConsulAcl(identities.consul.url, MANAGEMENT_TOKEN)
    acl.put_jwt_method("test-method", identities.issuer.url, "x", ("nomad_job_id",))
    acl.keep_binding_rules("test-method", rules)
    (first,) = identities.consul.call("GET", "/v1/acl/binding-rules?authmethod=test-method")
    acl.keep_binding_rules("test-method", rules)
    assert identities.consul.call("GET", "/v1/acl/binding-rules?authmethod=test-method") == [first]
    identities.consul.call("DELETE", "/v1/acl/auth-method/test-method")
