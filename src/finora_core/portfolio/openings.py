"""What an account must have had before what its files show of it.

A file may begin in the middle: it sells what an earlier one bought. What is missing is derived, for
each asset, from all that moved in the account: the least that must have been there at the beginning
so that nothing leaves that was not there. It is booked as an opening balance of its own source, of
unknown cost, and replaced by reversal as soon as earlier activities say what it was; so the order
in which files come in changes nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from uuid import UUID

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.ids import new_id
from finora_core.kernel.page import MAX_LIMIT
from finora_core.kernel.scope import Scope
from finora_core.portfolio.booking import book, books_of, end_all
from finora_core.portfolio.model import (
    DERIVED,
    Activity,
    ActivityFilter,
    ActivityKind,
    OpeningsDerived,
    is_currency,
)
from finora_core.portfolio.ports import PortfolioWork

Step = tuple[datetime, int]


@attrs.frozen
class Missing:
    """What must have been there before."""

    units: int
    since: datetime
    """From the first step on, or from the first open day."""
    short: datetime
    """When there was too little without it."""


def missing(steps: Iterable[Step], closed: date | None = None) -> Missing | None:
    """None where everything that left had come. Of one moment what came in counts first."""
    ordered = sorted(steps, key=lambda step: (step[0], -step[1]))
    levels = list(accumulate(units for _, units in ordered))
    least = min(levels, default=0)
    if least >= 0:
        return None
    short = next(at for (at, _), level in zip(ordered, levels, strict=True) if level < 0)
    since = ordered[0][0]
    if closed is not None:
        since = max(since, datetime.combine(closed + timedelta(days=1), time.min, UTC))
    return Missing(-least, since, short)


def derive(
    work: PortfolioWork,
    scope: Scope,
    account_id: UUID,
    assets: Iterable[Asset],
    coming: Sequence[Activity] = (),
) -> Mapping[Asset, Missing]:
    """Make the derived openings of these assets what they must be, with what is about to be booked:
    those that are new. Nobody else adds to the account meanwhile. Those of closed periods stay;
    what lacks beside them opens on the first open day."""
    counted = {asset for asset in assets if not is_currency(asset.id)}
    closed = work.activities.closed_through()
    standing: dict[Asset, list[Activity]] = {asset: [] for asset in counted}
    for each in _standing(work, account_id):
        if each.quantity.asset in counted and (closed is None or each.at.date() > closed):
            standing[each.quantity.asset].append(each)
    if not coming and not any(standing.values()):
        return {}
    moved = work.activities.moved(account_id, [asset.id for asset in counted])
    more: dict[str, list[Step]] = defaultdict(list)
    for each in coming:
        for asset_id, units in each.moved.items():
            more[asset_id].append((each.at, units))
    found: dict[Asset, Missing] = {}
    openings: list[Activity] = []
    ended: list[tuple[Activity, UUID | None]] = []
    for asset in sorted(counted, key=lambda each: each.id):
        steps = [*moved.get(asset.id, ()), *more[asset.id]]
        was = [(each.at, each.quantity.units) for each in standing[asset]]
        for step in was:
            steps.remove(step)
        lacks = missing(steps, closed)
        if was == ([(lacks.since, lacks.units)] if lacks else []):
            continue
        if lacks is not None:
            found[asset] = lacks
            openings.append(_opening(work, scope, account_id, asset, lacks))
        ended += [(each, openings[-1].id if lacks else None) for each in standing[asset]]
    if openings:
        entries = book(work, openings, books_of(work))
        work.activities.add([attrs.evolve(each, entry_id=entries[each.id]) for each in openings])
    end_all(work, scope, ended)
    if openings or ended:
        work.events.record(
            OpeningsDerived(
                account_id=account_id,
                opened=len(openings),
                ended=len(ended),
                since=min(each.at for each in (*openings, *(old for old, _ in ended))),
            )
        )
    return found


def _standing(work: PortfolioWork, account_id: UUID) -> Iterator[Activity]:
    wanted = ActivityFilter(
        account_id=account_id, kind=ActivityKind.OPENING_BALANCE, source=DERIVED
    )
    page = work.activities.list(wanted, None, MAX_LIMIT)
    yield from page.items
    while page.next is not None:
        page = work.activities.list(wanted, page.next, MAX_LIMIT)
        yield from page.items


def _opening(
    work: PortfolioWork, scope: Scope, account_id: UUID, asset: Asset, lacks: Missing
) -> Activity:
    return Activity(
        id=new_id(),
        account_id=account_id,
        kind=ActivityKind.OPENING_BALANCE,
        quantity=Amount(lacks.units, asset),
        at=lacks.since,
        source=DERIVED,
        note=f"derived: more had left by {lacks.short.date()} than is known to have come",
        created_by=scope.user_id,
        recorded_at=work.now,
    )
