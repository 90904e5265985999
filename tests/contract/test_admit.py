"""`cloudx cluster admit`, at a real Consul: tokens of a machine's own."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator

import pytest
import requests

from fixtures.servers.cluster_servers import MANAGEMENT_TOKEN, ROOT, ConsulServer
from fixtures.servers.service import CLOUDX


def admit(consul: ConsulServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    own = {"CONSUL_HTTP_ADDR": consul.url, "CONSUL_HTTP_TOKEN": MANAGEMENT_TOKEN}
    return subprocess.run(
        [*CLOUDX, "cluster", "admit", *arguments], cwd=ROOT, env=os.environ | own, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip


@pytest.fixture
def machine(consul: ConsulServer) -> Iterator[str]:
    """The name of a machine; afterwards Consul knows nothing of it."""
    name = "a-test-s-machine"
    yield name
    for kind, key in (("token", "AccessorID"), ("policy", "ID")):
        for each in consul.call("GET", f"/v1/acl/{'tokens' if kind == 'token' else 'policies'}"):
            if name in each.get("Name", "") + each.get("Description", ""):
                consul.call("DELETE", f"/v1/acl/{kind}/{each[key]}")


def rules_of(consul: ConsulServer, secret: str) -> str:
    """What a token may, as Consul has it."""
    held = requests.get(f"{consul.url}/v1/acl/token/self", headers={"X-Consul-Token": secret}, timeout=5).json()
    texts = [consul.call("GET", f"/v1/acl/policy/{policy['ID']}")["Rules"] for policy in held["Policies"]]
    return "\n".join(line for text in texts for line in text.splitlines() if not line.startswith("#"))


def test_a_vps_s_tokens_name_that_vps_and_its_one_service(consul, machine):
    made = json.loads(admit(consul, machine, "--json").stdout)
    assert (made["name"], made["kind"]) == (machine, "vps")
    for agent in ("consul_agent", "nomad_agent"):
        rules = rules_of(consul, made[agent])
        assert f'"{machine}"' in rules and '"NODE"' not in rules
        assert "prefix" not in rules
        assert set(re.findall(r'^service "(.*)"', rules, re.MULTILINE)) == {"cloudx-node"}


def test_a_control_node_s_agent_may_register_the_api(consul, machine):
    made = json.loads(admit(consul, machine, "--control", "--json").stdout)
    token = {"X-Consul-Token": made["nomad_agent"]}

    def register(name: str) -> int:
        url = f"{consul.url}/v1/agent/service/register"
        return requests.put(url, json={"Name": name, "Port": 1}, headers=token, timeout=5).status_code

    assert (register("cloudx-backend"), register("cloudx-node"), register("vault")) == (200, 403, 403)
    consul.call("PUT", "/v1/agent/service/deregister/cloudx-backend")


def test_what_it_prints_goes_into_the_agents_own_files(consul, machine):
    done = admit(consul, machine)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith('acl { tokens { agent = "') and second.startswith('consul { token = "')


@pytest.mark.parametrize("name", ['x" { policy = "write" } node_prefix "', "a.b", "-x", "x" * 64, "", "ä"])
def test_a_name_that_would_change_the_rules_is_refused_with_a_remedy(consul, name):
    before = {policy["Name"] for policy in consul.call("GET", "/v1/acl/policies")}
    done = admit(consul, "--", name)
    assert done.returncode != 0 and "node_name" in done.stderr
    assert {policy["Name"] for policy in consul.call("GET", "/v1/acl/policies")} == before
