"""Finds what is asked for, newest first, in a time that hardly depends on how much there is.

Each filter has an index that ends with the time. Which of them leads fastest to a full page depends on how often the
values of all filters meet, which no statistics tell. So each is tried for a few rows, then for eight times as many,
until one of them has filled the page or has come to its end: at the most some times what the best of them takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace

from sqlalchemy import Connection, func, select

from cloudx.adapters.database.repositories.findings import finding_row
from cloudx.adapters.database.schema.search_tables import sightings
from cloudx.adapters.database.schema.tables import findings
from cloudx.domain.addresses import Network
from cloudx.services.ledger.records import FindingRow
from cloudx.services.ledger.sightings import FoundPage, FoundRow, Place, Query

from .keys import same_key
from .looking import Look, find, look, sort_out
from .ways import Ways

FIRST_ROWS = 400
ROWS_OF_A_PAGE = 4  # for each row that is wanted
MORE = 8
BUDGETS = 4  # up to 200,000 rows; then the database has to see for itself
_SHOWN = [findings.c[field.name] for field in fields(FindingRow)]


class SqlSearch:
    """Answers from what was taken in."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def page(self, query: Query, after: Place | None, limit: int) -> FoundPage:
        """As Sightings has it."""
        places = self._places(query, after, limit + 1)
        following = places[limit - 1] if len(places) > limit else None
        return FoundPage(self._rows(places[:limit]), following)

    def _places(self, query: Query, after: Place | None, wanted: int) -> list[Place]:
        networks = _narrowest(query.networks)
        if networks is None:
            return []
        query = replace(query, networks=networks)
        ways = Ways(self._connection, query)
        if (short := ways.short()) is not None:
            return sort_out(self._connection, Look(query, ways.texts, short, after, wanted))
        first_rows = max(FIRST_ROWS, ROWS_OF_A_PAGE * wanted)
        seen = look(self._connection, Look(query, ways.texts, ways.by_time, after, wanted), first_rows)
        if seen.is_enough(wanted):
            return seen.places
        return self._along(ways, query, after, wanted)

    def _along(self, ways: Ways, query: Query, after: Place | None, wanted: int) -> list[Place]:
        others = ways.others()
        if ways.lead_nowhere:
            return []
        for budget in _budgets(wanted):
            for way in [*others, ways.by_time]:
                what = Look(query, ways.texts, way, after, wanted)
                if way.is_short:
                    return sort_out(self._connection, what)
                seen = look(self._connection, what, budget)
                if seen.is_enough(wanted):
                    return seen.places
        return find(self._connection, Look(query, ways.texts, ways.by_time, after, wanted))

    def _rows(self, places: Sequence[Place]) -> list[FoundRow]:
        if not places:
            return []
        older = sightings.alias("older")
        first_seen = select(func.min(older.c.observed_at)).where(same_key(older, sightings)).scalar_subquery()
        query = (
            select(*_SHOWN, sightings.c.id, first_seen)
            .join(sightings, (sightings.c.scan_id == findings.c.scan_id) & same_key(sightings, findings))
            .where(sightings.c.id.in_([place.id for place in places]))
            .order_by(sightings.c.observed_at.desc(), sightings.c.id.desc())
        )
        return [FoundRow(finding_row(row), row[-1]) for row in self._connection.execute(query)]


def _narrowest(networks: Sequence[Network]) -> tuple[Network, ...] | None:
    """The network that lies in all of them, if any are given; None where none does: two lie in each other, or apart."""
    narrow = max(networks, key=lambda one: one.prefixlen, default=None)
    if narrow is None:
        return ()
    lies_in_all = all(one.version == narrow.version and narrow.subnet_of(one) for one in networks)  # type: ignore[arg-type]
    return (narrow,) if lies_in_all else None


def _budgets(wanted: int) -> Iterator[int]:
    rows = max(FIRST_ROWS, ROWS_OF_A_PAGE * wanted)
    for _ in range(BUDGETS):
        yield rows
        rows *= MORE
