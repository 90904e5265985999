"""Which addresses a webhook may go to, how a delivery is signed, and when it is tried again."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from cloudx.domain.webhooks.delivery import TRIED_FOR, Delivery, Topic, next_try
from cloudx.domain.webhooks.reachable import address_of, networks_of, why_not
from cloudx.domain.webhooks.signature import signature

AT = datetime(2026, 3, 4, tzinfo=UTC)
REFUSED = """
0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.255.0.9 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1
192.168.0.1 198.18.0.1 198.51.100.7 203.0.113.9 224.0.0.1 239.1.2.3 240.0.0.1 255.255.255.255
:: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 64:ff9b::7f00:1 64:ff9b::808:808 fe80::1
fe80::1%eth0 fc00::1 fd12:3456::1 ff02::1 2001::1 2001:db8::1 2002:7f00:1:: 2002:a00:1::1 3fff::1 100::1 5f00::1
"""
TAKEN = """
1.1.1.1 9.255.255.255 11.0.0.0 172.15.255.255 172.32.0.1 192.0.1.1 223.255.255.255 ::ffff:1.1.1.1 2606:4700::1 2a00::1
"""


@pytest.mark.parametrize("text", REFUSED.split())
def test_no_webhook_goes_to_an_address_that_is_not_public(text):
    assert "CLOUDX_WEBHOOK_NETWORKS" in (why_not(address_of(text), ()) or "")


@pytest.mark.parametrize("text", TAKEN.split())
def test_a_webhook_goes_to_a_public_address_unless_this_machine_has_it(text):
    assert why_not(address_of(text), ()) is None
    assert "this machine's own" in (why_not(address_of(text), (), is_own=True) or "")


def test_the_setting_opens_the_networks_that_it_names_and_no_others():
    allowed = networks_of(("10.1.0.0/16", "127.0.0.1/32", "fd00::/8"))
    for text in ("10.1.2.3", "::ffff:10.1.2.3", "127.0.0.1", "fd12::1"):
        assert why_not(address_of(text), allowed, is_own=True) is None
    for text in ("10.2.0.1", "127.0.0.2", "fe80::1"):
        assert why_not(address_of(text), allowed)


def test_a_signature_is_of_the_time_and_the_body():
    expected = hmac.new(b"the secret", b'1700000000.{"a":1}', hashlib.sha256).hexdigest()
    assert signature("the secret", b'{"a":1}', 1_700_000_000) == f"t=1700000000,v1={expected}"


def test_a_delivery_is_tried_for_a_day_ever_more_seldom_and_then_given_up():
    now, pauses, tries = AT, [], 0
    while (then := next_try(delivery(tries), now)) is not None:
        pauses.append((then - now).total_seconds())
        now, tries = then, tries + 1
    assert pauses[0] == 5
    assert pauses == sorted(pauses)
    assert max(pauses) == 3600
    assert TRIED_FOR - timedelta(hours=1) < now - AT <= TRIED_FOR
    assert 25 < tries < 40


def delivery(tries: int) -> Delivery:
    return Delivery("d", "w", Topic.NODE_LOST, None, "vps1", "offline", "healthy", AT, tries, None)
