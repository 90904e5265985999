"""Named lists from the command line, against a running install."""

from __future__ import annotations

import json

from fixtures.servers.service import Service


def test_a_list_is_added_scanned_listed_and_forgotten(service: Service) -> None:
    added = service.cloudx("lists", "add", "desks", "127.0.0.1", "127.0.0.2")
    assert added.returncode == 0, added.stderr
    list_id = added.stdout.strip()
    assert service.cloudx("lists", "add", "desks", "127.0.0.3").returncode == 1
    row = next(line for line in service.cloudx("lists", "list").stdout.splitlines() if list_id in line)
    assert "desks" in row and "127.0.0.1" in row
    made = service.cloudx("scan", "--list", "desks", "--ports", "80", "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["target"] == "127.0.0.1,127.0.0.2"
    assert service.cloudx("lists", "remove", list_id).returncode == 0
    refused = service.cloudx("scan", "--list", "desks")
    assert refused.returncode == 2 and "There is no list 'desks'" in refused.stderr
    assert service.cloudx("lists", "add", "desks").returncode != 0
