"""The fleet as it changes: a worker that is killed, many nodes, an API that goes away and comes back."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from fixtures.page_data import registration
from fixtures.servers.chromium import Visitor
from fixtures.servers.gunicorn import ADMIN_TOKEN, NODE_TOKEN, Gunicorn
from fixtures.servers.service import CLOUDX, Service
from rig.environment import clean_environment


def test_a_killed_worker_is_seen_to_go_and_is_forgotten(new_gunicorn: Any, new_visitor: Any, tmp_path: Path) -> None:
    api: Gunicorn = new_gunicorn()
    environment = clean_environment(CLOUDX_DATA_DIR=str(api.data_dir), NODE_ID="second-vps")
    with open(tmp_path / "worker.log", "wb") as log:
        worker = subprocess.Popen([*CLOUDX, "worker"], env=environment, stdout=log, stderr=log)
    try:
        visitor: Visitor = new_visitor(api.url)
        visitor.sign_in(ADMIN_TOKEN)
        page = visitor.page
        card = page.get_by_role("list", name="Nodes").get_by_role("listitem").filter(has_text="second-vps")
        expect(card).to_contain_text("healthy")
        worker.kill()
        worker.wait()
        expect(card).to_contain_text("offline")
        expect(card).to_contain_text("Last seen")
        expect(page.locator(".lead")).to_contain_text("in trouble")
        page.get_by_role("group", name="Status").get_by_role("button", name="offline").click()
        page.get_by_label("Search nodes").fill("second-vps")
        expect(page.get_by_role("list", name="Nodes").locator("> li")).to_have_count(1)
        card.get_by_role("button").click()
        page.get_by_role("button", name="Forget this node").click()
        page.get_by_role("button", name="Forget it").click()
        expect(page.get_by_text("No node matches these filters.")).to_be_visible()
    finally:
        worker.kill()
        worker.wait()


def test_many_nodes_are_tiles_and_a_filter_finds_one(new_gunicorn: Any, new_visitor: Any) -> None:
    api: Gunicorn = new_gunicorn()
    for number in range(100):
        assert api.post("/api/nodes/register", registration(number), token=NODE_TOKEN).status_code == 201
    visitor: Visitor = new_visitor(api.url)
    visitor.sign_in(ADMIN_TOKEN)
    page = visitor.page
    nodes = page.get_by_role("list", name="Nodes")
    expect(nodes.locator(".tile")).to_have_count(101)
    expect(nodes.locator("> li").first).to_contain_text("Operation not permitted")
    page.get_by_label("Search nodes").fill("vps-0042")
    expect(nodes.locator(".node")).to_have_count(1)
    page.get_by_label("Search nodes").fill("")
    expect(nodes.locator(".tile")).to_have_count(101)


def test_an_api_that_goes_away_is_told_and_the_view_goes_on_when_it_is_back(new_service: Any, new_visitor: Any) -> None:
    running: Service = new_service()
    running.start()
    visitor: Visitor = new_visitor(running.url)
    visitor.sign_in(running.token)
    page = visitor.page
    running.stop()
    expect(page.get_by_role("status").filter(has_text="The API does not answer")).to_be_visible()
    running.start()
    expect(page.get_by_role("status").filter(has_text="The API does not answer")).to_be_hidden()
    visitor.complaints = [words for words in visitor.complaints if "ERR_CONNECTION" not in words]
