"""What docs/operations.md says one can do in another shell while `make dev` runs."""

from __future__ import annotations

import json
import time

import pytest
import requests

from rig.waiting import until


def test_a_sourced_shell_scans_through_fabio_and_sees_its_node(dev_cluster):
    scanned = dev_cluster.shell("cloudx scan 127.0.0.1 --tool nmap --ports 8500,4646,1 --json")
    assert scanned.returncode == 0, scanned.stderr
    scan = json.loads(scanned.stdout)
    assert scan["status"] == "completed"
    assert scan["coverage"]["planned"] == scan["coverage"]["completed"] == 1
    (host,) = scan["results"]["nmaprun"]["host"]
    assert {int(p["portid"]) for p in host["ports"]["port"] if p["state"]["state"] == "open"} == {4646, 8500}
    nodes = json.loads(dev_cluster.shell("cloudx nodes --json").stdout)
    (node,) = [node for node in nodes if node["status"] == "healthy"] or pytest.fail(f"none is healthy: {nodes}")
    assert set(node["sources"]) == {"consul", "nomad", "heartbeat"}
    assert {"nmap", "masscan", "zmap", "raw_socket"} <= set(node["capabilities"])


def test_the_node_is_the_same_after_a_new_start(dev_cluster):
    def node_ids() -> set[str]:
        return {node["ID"] for node in dev_cluster.nomad("nodes")}

    before = node_ids()
    dev_cluster.stop()
    dev_cluster.start()
    assert node_ids() == before


def test_every_server_knows_the_sourced_shell(dev_cluster):
    for command in ("nomad node status", "consul members", "vault token lookup", "cloudx scopes list"):
        done = dev_cluster.shell(command)
        assert done.returncode == 0, f"{command}: {done.stderr}"


def test_a_plain_nomad_job_run_gives_what_runs_and_a_version_is_a_rollout(dev_cluster):
    def versions() -> set[str]:
        passing = dev_cluster.consul("health/service/cloudx-backend?passing")
        return {entry["Service"]["Meta"]["version"] for entry in passing}

    before = dev_cluster.nomad("job/backend")
    again = dev_cluster.shell("nomad job run jobs/backend.nomad.hcl")
    assert again.returncode == 0, again.stdout + again.stderr
    after = dev_cluster.nomad("job/backend")
    assert after["Version"] == before["Version"], "the same file with the same variables changes nothing"
    rolled = dev_cluster.shell("nomad job run -var version=test-2 jobs/backend.nomad.hcl")
    assert rolled.returncode == 0, rolled.stdout + rolled.stderr
    until(lambda: versions() == {"test-2"}, 60, versions)
    assert dev_cluster.api("GET", "/api/ready").status_code == 200


def test_fabios_route_table_and_the_consul_and_nomad_pages_answer(dev_cluster):
    routes = requests.get("http://127.0.0.1:9998/api/routes", timeout=10).json()
    instances = dev_cluster.consul("health/service/cloudx-backend?passing")
    assert len({route["dst"] for route in routes if route["service"] == "cloudx-backend"}) == len(instances)
    for page in ("http://127.0.0.1:8500/ui/", "http://127.0.0.1:4646/ui/", "http://127.0.0.1:9998/routes"):
        answer = requests.get(page, timeout=10)
        assert answer.status_code == 200, page
        assert "<html" in answer.text.lower(), page


def test_set_up_can_be_run_again_by_hand_while_everything_serves(dev_cluster):
    file = dev_cluster.folder / "postgres-password"
    done = dev_cluster.shell(
        "cloudx cluster set-up --database 127.0.0.1:54329/cloudx --database-admin-file "
        f'<(echo "postgresql://postgres:$(cat {file})@127.0.0.1:54329")'
    )
    assert (done.returncode, done.stdout) == (0, "The cluster's identities are set up.\n"), done.stderr
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        assert dev_cluster.api("GET", "/api/scans").status_code == 200


def test_set_up_says_which_file_or_token_is_wrong(dev_cluster):
    missing = dev_cluster.shell("cloudx cluster set-up --database x:1/y --database-admin-file /nowhere")
    assert (missing.returncode, missing.stderr) == (
        2,
        "error: /nowhere cannot be read (No such file or directory). Name a file that holds the URL."
        " (bad_configuration)\n",
    )
    elsewhere = dev_cluster.shell("cd / && cloudx cluster set-up --database x:1/y --database-admin-file /dev/null")
    assert elsewhere.returncode == 2
    assert "Run this in a checkout, or name one with --folder" in elsewhere.stderr
    powerless = dev_cluster.shell(
        "CONSUL_HTTP_TOKEN= cloudx cluster set-up --database x:1/y --database-admin-file /dev/null"
    )
    assert powerless.returncode == 1
    assert "Check that CONSUL_HTTP_TOKEN may write ACLs" in powerless.stderr
