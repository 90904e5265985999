"""Scopes, exclusions, tokens and nodes from the command line, against a running install."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fixtures.servers.service import Service, free_port

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("policy") / "data")
    running.start()
    try:
        yield running
    finally:
        running.stop()


def _added(own: Service, *arguments: str) -> str:
    made = own.cloudx(*arguments)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def test_a_scope_is_added_listed_and_withdrawn(own: Service) -> None:
    add = (
        "scopes",
        "add",
        "203.0.113.0/24",
        "198.51.100.7",
        "--owner",
        "ann",
        "--note",
        "contract 17",
        "--expires",
        "30d",
    )
    scope_id = _added(own, *add)
    assert re.fullmatch(UUID, scope_id)
    row = next(line for line in own.cloudx("scopes", "list").stdout.splitlines() if scope_id in line)
    assert all(word in row for word in ("203.0.113.0/24 198.51.100.7", "ann", "contract 17"))
    [scope] = [one for one in json.loads(own.cloudx("scopes", "list", "--json").stdout) if one["id"] == scope_id]
    left = datetime.fromisoformat(scope["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < left <= timedelta(days=30)
    assert own.cloudx("scopes", "remove", scope_id).returncode == 0
    again = own.cloudx("scopes", "remove", scope_id)
    assert again.returncode == 1
    assert "(not_found)" in again.stderr


def test_an_excluded_address_is_left_out_and_the_proof_says_so(own: Service) -> None:
    exclusion_id = _added(own, "exclusions", "add", "127.0.0.9", "--note", "the old PLC")
    assert "the old PLC" in own.cloudx("exclusions", "list").stdout
    done = own.cloudx("scan", "127.0.0.8-9", "--ports", str(free_port()))
    assert "2 hosts planned = 1 completed + 1 excluded + 0 failed" in done.stdout
    assert own.cloudx("exclusions", "remove", exclusion_id, "--json").returncode == 0
    assert json.loads(own.cloudx("exclusions", "list", "--json").stdout) == []


def test_a_token_is_printed_once_alone_and_lets_its_role_in_and_no_further(own: Service) -> None:
    token = _added(own, "tokens", "add", "bea", "--role", "viewer")
    assert token.startswith("cx_")
    assert "\n" not in token
    assert token not in own.cloudx("tokens", "list", "--json").stdout
    assert own.cloudx("scans", CLOUDX_TOKEN=token).returncode == 0
    refused = own.cloudx("scan", "127.0.0.1", CLOUDX_TOKEN=token)
    assert refused.returncode == 1
    assert "operator" in refused.stderr
    assert "(forbidden)" in refused.stderr


def test_a_revoked_token_is_told_where_it_came_from(own: Service) -> None:
    made = json.loads(own.cloudx("tokens", "add", "cy", "--role", "viewer", "--json").stdout)
    assert own.cloudx("tokens", "remove", made["id"]).returncode == 0
    refused = own.cloudx("scans", CLOUDX_TOKEN=made["token"])
    assert refused.returncode == 1
    assert "CLOUDX_TOKEN" in refused.stderr
    assert "(unauthenticated)" in refused.stderr


def test_a_node_s_token_is_named_for_its_node(own: Service) -> None:
    made = json.loads(own.cloudx("tokens", "add", "--role", "node", "--node-id", "vps-7", "--json").stdout)
    assert (made["name"], made["node_id"], made["role"]) == ("vps-7", "vps-7", "node")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("tokens", "add", "--role", "viewer"), "needs a name"),
        (("tokens", "add", "x", "--role", "node"), "node_id"),
        (("scopes", "add", "10.0.0.1", "--owner", "a", "--note", "b", "--expires", "yesterday"), "is no time"),
        (("scopes", "add", "10.0.0.1/99", "--owner", "a", "--note", "b"), "is not a target"),
        (("exclusions", "remove", "../scopes"), "is not an id"),
        (("exclusions", "remove", ".."), "is not an id"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(own: Service, arguments: tuple[str, ...], says: str) -> None:
    refused = own.cloudx(*arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert says in refused.stderr


def test_nodes_shows_this_machine_and_what_it_can(own: Service) -> None:
    [node] = json.loads(own.cloudx("nodes", "--json").stdout)
    shown = own.cloudx("nodes").stdout
    assert re.search(rf"{re.escape(node['node_id'])} +(healthy|degraded) +\S+ +primary", shown)
    assert ", ".join(node["capabilities"]) in shown


def test_an_open_install_is_used_without_a_token(new_service: Callable[..., Service]) -> None:
    opened = new_service(CLOUDX_AUTH="open")
    opened.start()
    assert opened.cloudx("scans").returncode == 0


def test_the_audit_trail_is_listed_by_action_page_after_page(own: Service) -> None:
    made = [_added(own, "exclusions", "add", f"192.0.2.{number}", "--note", "audited") for number in range(3)]
    shown = own.cloudx("audit", "--action", "exclusion.add", "--limit", "2", "--json")
    assert [entry["subject"] for entry in json.loads(shown.stdout)] == [made[2], made[1]]
    rows = own.cloudx("audit", "--principal", "admin").stdout
    assert all(subject in rows for subject in made)
    nothing = own.cloudx("audit", "--action", "never.done")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "No entry matches" in nothing.stderr


def test_who_is_no_admin_may_not_read_the_audit_trail(own: Service) -> None:
    token = own.cloudx("tokens", "add", "reader", "--role", "viewer").stdout.strip()
    refused = own.cloudx("audit", CLOUDX_TOKEN=token, CLOUDX_URL=own.url)
    assert refused.returncode == 1
    assert refused.stderr.endswith("(forbidden)\n")


def test_old_scans_are_pruned_after_a_dry_run_that_only_tells(own: Service) -> None:
    scan_id = own.scan(target="127.0.0.1", tool="nmap", ports="1")
    own.wait_for(scan_id)
    told = json.loads(own.cloudx("prune", "--scans-older-than", "0", "--dry-run", "--json").stdout)
    assert told["dry_run"] is True and told["scans"] >= 1
    assert own.show(scan_id)["status"] == "completed"
    removed = own.cloudx("prune", "--scans-older-than", "0")
    assert removed.returncode == 0, removed.stderr
    assert f"Removed {told['scans']} scan" in removed.stderr
    assert own.call("GET", f"/api/scans/{scan_id}").status_code == 404
    assert "prune" in own.cloudx("audit", "--action", "prune").stdout


def test_pruning_without_an_age_or_a_database_says_what_to_do(own: Service, tmp_path: Path) -> None:
    nothing = own.cloudx("prune")
    assert nothing.returncode != 0 and "--scans-older-than" in nothing.stderr
    elsewhere = own.cloudx("prune", "--scans-older-than", "1", CLOUDX_DATA_DIR=str(tmp_path))
    assert elsewhere.returncode == 1 and "DATABASE_URL" in elsewhere.stderr
    assert not list(tmp_path.iterdir())
