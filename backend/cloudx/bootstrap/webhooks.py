"""Webhooks: how they are made, and the rounds of an API process that deliver them."""

from __future__ import annotations

from cloudx import __version__
from cloudx.adapters.receivers.http import HttpReceivers
from cloudx.config import Settings
from cloudx.domain.webhooks.reachable import networks_of
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.rounds import Rounds
from cloudx.services.scans.comparison import DiffSummary, compare
from cloudx.services.webhooks.deliver import LOOK_SECONDS, DeliverWebhooks
from cloudx.services.webhooks.edit import AddWebhook
from cloudx.services.webhooks.prune import PRUNE_SECONDS, PruneDeliveries


def webhooks_of(settings: Settings, open_ledger: OpenLedger) -> tuple[AddWebhook, tuple[Rounds, ...]]:
    """What makes webhooks, and what delivers them."""
    receivers = HttpReceivers(networks_of(settings.cloudx_webhook_networks))

    def count_diff(before_id: str, after_id: str) -> DiffSummary:
        return compare(open_ledger, before_id, after_id).summary()

    deliver = DeliverWebhooks(open_ledger, receivers, count_diff, agent=f"cloudx/{__version__}")
    rounds = (
        Rounds("webhooks.deliver", deliver, LOOK_SECONDS),
        Rounds("webhooks.prune", PruneDeliveries(open_ledger), PRUNE_SECONDS),
    )
    return AddWebhook(open_ledger, receivers), rounds
