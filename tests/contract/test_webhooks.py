"""Webhooks on both databases: the outbox says what happened, and each receiver gets it, signed, at least once."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, update

from cloudx.adapters.database.schema.webhook_tables import deliveries
from cloudx.adapters.receivers.http import HttpReceivers
from cloudx.domain.errors import InvalidInput, NotFound
from cloudx.domain.nodes import NodeStatus
from cloudx.domain.scans import ScanStatus
from cloudx.domain.webhooks.delivery import Outcome, Topic, Webhook
from cloudx.domain.webhooks.reachable import networks_of
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.scans.comparison import compare
from cloudx.services.scans.control import delete_scan, stop_scan
from cloudx.services.scans.second_stage import Then
from cloudx.services.webhooks.deliver import DeliverWebhooks
from cloudx.services.webhooks.edit import AddWebhook, delete_webhook, list_webhooks
from cloudx.services.webhooks.prune import PruneDeliveries
from contract.test_concurrent_workers import run_at_once
from fixtures.ledgers import ADMIN, LONG_AGO, Desk, found
from fixtures.servers.webhook_receiver import Receiver

HERE = HttpReceivers(networks_of(("127.0.0.0/8",)))


@pytest.fixture
def deliver(open_ledger: OpenLedger) -> DeliverWebhooks:
    return DeliverWebhooks(open_ledger, HERE, lambda a, b: compare(open_ledger, a, b).summary(), "cloudx/test")


@pytest.fixture
def add(open_ledger: OpenLedger, receiver: Receiver) -> Callable[..., Webhook]:
    """Makes a webhook to the receiver."""
    return lambda *topics: AddWebhook(open_ledger, HERE)(ADMIN, f"{receiver.url}/hook?x=1", topics, None)


def send_all(deliver: DeliverWebhooks, webhook: Webhook) -> None:
    while deliver.deliver_one(webhook.id):
        pass


def last(open_ledger: OpenLedger) -> Any:
    (listed,) = list_webhooks(open_ledger)
    return listed.last


def test_a_finished_scan_is_told_once_and_signed_with_the_secret(desk, open_ledger, deliver, add, receiver):
    webhook = add(Topic.SCAN_FINISHED)
    scan = desk.submit("10.0.0.0/30", name="nightly")
    desk.run_to_end(scan)
    send_all(deliver, webhook)
    ((headers, body),) = receiver.got
    told = receiver.bodies[0]
    assert told["event"] == headers["x-cloudx-event"] == "scan.finished"
    assert told["id"] == headers["x-cloudx-delivery"]
    assert told["data"] == {
        "scan_id": scan.id, "status": "completed", "name": "nightly", "tool": "masscan", "scan_type": "tcp_scan",
        "error": None,
    }  # fmt: skip
    time, seal = (part.split("=")[1] for part in headers["x-cloudx-signature"].split(","))
    assert seal == hmac.new(webhook.secret.encode(), f"{time}.".encode() + body, hashlib.sha256).hexdigest()
    assert (last(open_ledger).outcome, last(open_ledger).http_status) == (Outcome.DELIVERED, 200)
    assert last(open_ledger).answer == "thank you"


def test_every_end_of_a_scan_is_told_to_those_who_asked_for_it(desk, open_ledger, deliver, add, receiver):
    finished, lost = add(Topic.SCAN_FINISHED), add(Topic.NODE_LOST)
    stop_scan(open_ledger, desk.submit().id, ADMIN)
    desk.submit("10.0.0.0/30")
    claim = desk.must_claim()
    with open_ledger() as ledger:
        assert ledger.scans.fail(claim.lease, "its scope is gone")
        ledger.commit()
    for webhook in (finished, lost):
        send_all(deliver, webhook)
    assert [(each["data"]["status"], each["data"]["error"]) for each in receiver.bodies] == [
        ("stopped", None),
        ("failed", "its scope is gone"),
    ]


def test_what_is_rolled_back_is_told_to_nobody_and_what_is_deleted_is_told_still(
    desk, open_ledger, deliver, add, receiver
):
    webhook = add(Topic.SCAN_FINISHED)
    scan = desk.submit()
    with open_ledger() as ledger:
        locked = ledger.scans.lock(scan.id)
        ledger.scans.save_state(locked.moved_to(ScanStatus.STOPPED, ledger.now()))
    assert not deliver.deliver_one(webhook.id)
    delete_scan(open_ledger, scan.id, ADMIN)
    send_all(deliver, webhook)
    assert [each["data"] for each in receiver.bodies] == [{"scan_id": scan.id, "status": "stopped"}]


def test_a_lost_node_is_told_and_one_that_comes_back_is_not(open_ledger, deliver, add, receiver):
    webhook = add(Topic.NODE_LOST)
    for status in (NodeStatus.HEALTHY, NodeStatus.OFFLINE, NodeStatus.OFFLINE, NodeStatus.HEALTHY):
        with open_ledger() as ledger:
            ledger.told_nodes.save({"vps1": status})
            ledger.commit()
    send_all(deliver, webhook)
    assert [each["data"] for each in receiver.bodies] == [{"node_id": "vps1", "was": "healthy"}]


def test_a_difference_is_told_where_the_same_scan_found_something_else_before(
    desk, open_ledger, deliver, add, receiver
):
    webhook = add(Topic.DIFF_FOUND)

    def scan(*ips: str, **more: Any) -> str:
        made = desk.submit("10.0.0.0/30", **more)
        desk.complete(desk.must_claim(), *(found(ip) for ip in ips))
        send_all(deliver, webhook)
        return str(made.id)

    first = scan("10.0.0.1")
    scan("10.0.0.1", ports="81")
    assert receiver.bodies == [], "there was no scan like it before"
    same = scan("10.0.0.1")
    assert receiver.bodies == [], "nothing differs"
    other = scan("10.0.0.2")
    assert [each["data"] for each in receiver.bodies] == [
        {
            "from": same,
            "to": other,
            "summary": {"opened": 1, "closed": 1, "changed": 0, "unchanged": 0, "not_observed": 0},
        }
    ]
    assert first < same < other
    assert last(open_ledger).topic is Topic.DIFF_FOUND


def make_due(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(update(deliveries).values(next_at=LONG_AGO, held_until=None))


def test_a_failure_is_tried_again_with_the_same_id_and_body(desk, open_ledger, deliver, add, receiver, engine):
    webhook = add(Topic.SCAN_FINISHED)
    receiver.statuses, receiver.body = [500, 302, 200], b"\xff<script>" * 400
    stop_scan(open_ledger, desk.submit().id, ADMIN)
    answers = []
    for _ in range(3):
        deliver.deliver_one(webhook.id)
        answers.append((last(open_ledger).outcome, last(open_ledger).http_status, last(open_ledger).answer[:20]))
        assert not deliver.deliver_one(webhook.id), "it is not due yet"
        if last(open_ledger).next_at is not None:
            make_due(engine)
    assert answers == [
        (Outcome.WAITING, 500, "�<script>�<script>�<"),
        (Outcome.WAITING, 302, "It redirects to http"),
        (Outcome.DELIVERED, 200, "�<script>�<script>�<"),
    ]
    assert len({body for _, body in receiver.got}) == 1
    assert len({headers["x-cloudx-delivery"] for headers, _ in receiver.got}) == 1
    assert len(last(open_ledger).answer) == 500


def test_it_is_given_up_after_a_day(desk, open_ledger, deliver, add, receiver, engine):
    webhook = add(Topic.SCAN_FINISHED)
    receiver.statuses = [503]
    stop_scan(open_ledger, desk.submit().id, ADMIN)
    with engine.begin() as connection:
        connection.execute(update(deliveries).values(created_at=LONG_AGO))
    assert not deliver.deliver_one(webhook.id)
    assert last(open_ledger).outcome is Outcome.GIVEN_UP
    make_due(engine)
    assert not deliver.deliver_one(webhook.id)
    assert len(receiver.got) == 1


def test_many_processes_send_each_delivery_once(desk, open_ledger, deliver, add, receiver):
    webhook = add(Topic.SCAN_FINISHED)
    for _ in range(12):
        stop_scan(open_ledger, desk.submit().id, ADMIN)
    run_at_once(*(lambda: send_all(deliver, webhook) for _ in range(4)))
    ids = [headers["x-cloudx-delivery"] for headers, _ in receiver.got]
    assert len(ids) == len(set(ids)) == 12


def test_who_dies_between_the_answer_and_the_note_sends_it_again_under_the_same_id(
    desk, open_ledger, deliver, add, receiver, engine, monkeypatch
):
    webhook = add(Topic.SCAN_FINISHED)
    stop_scan(open_ledger, desk.submit().id, ADMIN)
    with monkeypatch.context() as patched:
        patched.setattr("cloudx.adapters.database.webhooks.repository.SqlWebhooks.note", _die)
        with pytest.raises(KeyboardInterrupt):
            deliver.deliver_one(webhook.id)
    assert not deliver.deliver_one(webhook.id), "its hold lasts a minute"
    make_due(engine)
    send_all(deliver, webhook)
    assert len(receiver.got) == 2
    assert len({headers["x-cloudx-delivery"] for headers, _ in receiver.got}) == 1


def _die(*_arguments: object) -> None:
    raise KeyboardInterrupt


def test_a_removed_webhook_is_told_nothing_any_more(desk: Desk, open_ledger, deliver, add, receiver):
    webhook = add(*Topic)
    stop_scan(open_ledger, desk.submit().id, ADMIN)
    delete_webhook(open_ledger, ADMIN, webhook.id)
    assert not deliver.deliver_one(webhook.id)
    assert list_webhooks(open_ledger) == []
    with pytest.raises(NotFound):
        delete_webhook(open_ledger, ADMIN, webhook.id)
    assert receiver.got == []


def test_old_deliveries_go_but_the_last_of_each_webhook(desk, open_ledger, deliver, add, receiver, engine):
    webhook = add(Topic.SCAN_FINISHED)
    for _ in range(3):
        stop_scan(open_ledger, desk.submit().id, ADMIN)
    send_all(deliver, webhook)
    with engine.begin() as connection:
        connection.execute(update(deliveries).values(created_at=LONG_AGO))
    newest = last(open_ledger).id
    assert PruneDeliveries(open_ledger)() == 2
    assert last(open_ledger).id == newest


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com/", "https://", "http://10.0.0.1/", "http://[::1]/", "https://u:p@example.com/", "http://a b/",
     "http://example.com:0/", "http://example.com:99999/", "https://exämple.com/"],
)  # fmt: skip
def test_a_url_to_which_nothing_would_be_sent_is_refused(open_ledger, url):
    with pytest.raises(InvalidInput) as refused:
        AddWebhook(open_ledger, HttpReceivers())(ADMIN, url, [Topic.NODE_LOST], None)
    assert refused.value.field == "url"


def test_a_scan_of_two_stages_is_told_once_by_its_own_id(desk, deliver, add, receiver):
    webhook = add(Topic.SCAN_FINISHED)
    scan = desk.submit("10.0.0.0/30", then=Then("nmap", "intense"))
    desk.complete(desk.must_claim(), found("10.0.0.1"))
    desk.complete(desk.must_claim())
    send_all(deliver, webhook)
    (told,) = receiver.bodies
    assert scan.id in str(told)
