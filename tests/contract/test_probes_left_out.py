"""Who probed an address: what an exclusion left out was not probed, and in doubt it is listed."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from cloudx.adapters.database.schema.tables import attempts, exclusions
from cloudx.services.access.edit_policy import delete_exclusion
from cloudx.services.chunks.finish import release_chunk
from fixtures.ledgers import ADMIN, Desk
from fixtures.probes import outcomes


def test_what_a_claim_left_out_for_an_exclusion_was_not_probed_and_its_neighbour_was(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/30")
    desk.exclude("10.0.0.2")
    desk.run_to_end(scan)
    assert outcomes(desk, "10.0.0.2") == []
    assert outcomes(desk, "10.0.0.1") == ["done"]


def test_what_is_excluded_while_it_is_probed_or_after_stays_listed(desk: Desk) -> None:
    desk.submit("10.0.0.1")
    claim = desk.must_claim()
    desk.exclude("10.0.0.1")
    assert outcomes(desk, "10.0.0.1") == [None]
    release_chunk(desk.open_ledger, claim)
    assert outcomes(desk, "10.0.0.1") == ["released"]
    desk.run_to_end(claim.scan, "w2")
    assert outcomes(desk, "10.0.0.1") == ["released"], "the second claim left it out"


def test_what_an_exclusion_left_out_is_in_doubt_once_the_exclusion_is_removed(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/30")
    exclusion = desk.exclude("10.0.0.2")
    desk.run_to_end(scan)
    delete_exclusion(desk.open_ledger, ADMIN, exclusion)
    assert outcomes(desk, "10.0.0.2") == ["done"]


@pytest.mark.parametrize("unknown", ["exclusion", "attempt"])
def test_what_the_ledger_does_not_know_to_be_left_out_is_listed(desk: Desk, unknown: str) -> None:
    scan = desk.submit("10.0.0.0/30")
    desk.exclude("10.0.0.2")
    desk.run_to_end(scan)
    with desk.engine.begin() as connection:
        connection.execute(update(exclusions if unknown == "exclusion" else attempts).values(policy_version=None))
    desk.policies = type(desk.policies)()
    assert outcomes(desk, "10.0.0.2") == ["done"]


def test_a_target_that_was_given_by_an_excluded_name_was_left_out(open_desk: Desk) -> None:
    scan = open_desk.submit("a.test")
    open_desk.exclude("a.test")
    open_desk.resolver.move(a_test="10.0.0.9")
    open_desk.run_to_end(scan)
    assert outcomes(open_desk, "10.0.0.8") == []
