"""Payments that come again and again. They are found in the records each time they are asked for,
by these rules alone: the same records always give the same answer, and each answer names its
records. What is kept is only what a person said of them.

A stream is all records of one merchant, asset and direction that follow each other by one period;
a period has a jitter, within which a payment may come early or late. Where the whole of a merchant
is no stream, its amounts are tried apart: two subscriptions of one shop are two streams.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import ClassVar
from uuid import UUID

import attrs

from finora_core.insights.model import months_after
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.errors import NotFound
from finora_core.kernel.events import Plain
from finora_core.kernel.ids import derived_id

HISTORY = timedelta(days=1_150)
"""How far back records are read: three years and a jitter."""
MOST_LINES = 20_000
LEAST_OFTEN, MOST_OFTEN = 2, 1_000
"""A merchant with fewer or more records than that is not looked at."""
SKIPS = 3
"""A gap of up to so many periods is one in which payments are missing, not another rhythm."""
ENDED_AFTER = 3
"""So many payments missing in a row, and it has ended."""
SHOWN_RECORDS = 60
ALIKE_PERCENT = 25
"""Two payments in a row are alike if they differ by no more of the larger."""
CHANGED_PERCENT = 1
"""Least difference from what was usual that is a change."""
RECENT = 6


class RecurringNotFound(NotFound):
    """There is no such recurring payment: the records no longer show it, or never did."""

    code = "RECURRING_NOT_FOUND"


class Rhythm(StrEnum):
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"

    @property
    def jitter(self) -> int:
        """Days that a payment may be early or late: weekends, holidays, short months."""
        return {"weekly": 1, "monthly": 5, "quarterly": 8, "yearly": 12}[self.value]

    @property
    def least(self) -> int:
        """How many payments it takes to believe it: chance makes short rhythms sooner."""
        return {"weekly": 5, "monthly": 3, "quarterly": 3, "yearly": 2}[self.value]

    def after(self, day: date, periods: int = 1, anchor: int | None = None) -> date:
        """The day so many periods on; `anchor` is the day of the month that is meant."""
        if self is Rhythm.WEEKLY:
            return day + timedelta(weeks=periods)
        return months_after(day, periods * _MONTHS[self], anchor)

    def steps(self, one: date, other: date) -> int | None:
        """How many periods lie between two payments; None if they do not follow this rhythm."""
        if (other - one).days < _SHORTEST[self] - self.jitter:
            return None  # Nearly all that somebody buys in a shop ends here.
        for periods in range(1, SKIPS + 1):
            if abs((other - self.after(one, periods)).days) <= self.jitter:
                return periods
        return None


_SHORTEST = {Rhythm.WEEKLY: 7, Rhythm.MONTHLY: 28, Rhythm.QUARTERLY: 89, Rhythm.YEARLY: 365}
_MONTHS = {Rhythm.MONTHLY: 1, Rhythm.QUARTERLY: 3, Rhythm.YEARLY: 12}


class State(StrEnum):
    ACTIVE = "active"
    MISSED = "missed"
    """The next payment is overdue."""
    ENDED = "ended"


class Verdict(StrEnum):
    CONFIRMED = "confirmed"
    IGNORED = "ignored"


@attrs.frozen
class RecurringLine:
    """A record, as far as this needs it."""

    record_id: UUID
    on_date: date
    units: int
    asset: Asset
    merchant_key: str


@attrs.frozen(kw_only=True)
class Recurring:
    id: UUID
    merchant_key: str
    rhythm: Rhythm
    state: State
    amount: Amount
    """The last payment; positive is money in."""
    usual: Amount
    """What the payments before it were, in the middle."""
    changed: bool
    """The last payment differs from all that was usual."""
    since: date
    last_on: date
    next_on: date | None
    """The next day on which one is expected, after those that were missed; None once it ended."""
    missed: int
    """Payments that did not come since the last one."""
    seen: int
    records: tuple[UUID, ...]
    """Why it is believed, the latest last; at most 60 of them."""
    largest_shift: int
    """By how many days a payment was early or late at most."""
    verdict: Verdict | None = None

    @property
    def direction(self) -> str:
        return "in" if self.amount.units > 0 else "out"

    def coming(self, after: date, until: date) -> Sequence[date]:
        """The days on which payments are expected. One that is overdue by no more than its jitter
        is expected at once; one that is later than that has been skipped."""
        if self.next_on is None:
            return ()
        days, periods = [], 0
        while (day := self.rhythm.after(self.next_on, periods, self.next_on.day)) <= until:
            if day > after:
                days.append(day)
            elif (after - day).days <= self.rhythm.jitter and not periods:
                days.append(after + timedelta(days=1))
            periods += 1
        return [day for day in days if day <= until]


def find_recurring(
    lines: Iterable[RecurringLine],
    today: date,
    verdicts: Mapping[UUID, Verdict] | None = None,
    known: "Known | None" = None,
) -> tuple[Recurring, ...]:
    """All there are, by merchant, in a total order that does not depend on that of the lines.
    Whoever asks as of one day after the other gives `known`, in which streams are kept: as of two
    days a merchant with as many lines has the same ones."""
    said = verdicts or {}
    known = {} if known is None else known
    found: list[Recurring] = []
    groups: dict[tuple[str, str, bool], Stream] = defaultdict(list)
    for line in lines:
        groups[line.merchant_key, line.asset.id, line.units > 0].append(line)
    for key in sorted(groups):
        kept = (*key, len(groups[key]))
        streams = known.get(kept)
        if streams is None:
            streams = known[kept] = _streams(sorted(groups[key], key=_when))
        for number, (rhythm, stream) in enumerate(streams):
            merchant, asset, income = key
            item_id = derived_id(
                "recurring", merchant, asset, str(income), rhythm.value, str(number)
            )
            found.append(_recurring(item_id, rhythm, stream, today, said.get(item_id)))
    return tuple(found)


Stream = list[RecurringLine]
Known = dict[tuple[str, str, bool, int], list[tuple[Rhythm, Stream]]]
"""By merchant, asset, whether it is income, and how many lines there are."""


def _when(line: RecurringLine) -> tuple[date, int]:
    return line.on_date, line.record_id.int


def _streams(lines: Stream) -> list[tuple[Rhythm, Stream]]:
    whole = _stream(lines)
    if whole is not None:
        return [whole]
    # Of many clusters some follow a rhythm by chance: it takes two payments more.
    apart = (_stream(cluster, 2) for cluster in _clusters(lines))
    found = [stream for stream in apart if stream is not None]
    # By their beginning, so that what is found later does not rename what was found before.
    return sorted(found, key=lambda each: _when(each[1][0]))


def _stream(lines: Stream, more: int = 0) -> tuple[Rhythm, Stream] | None:
    if not _alike(lines):
        return None
    for rhythm in Rhythm:
        if len(lines) >= rhythm.least + more and _follows(rhythm, lines):
            return rhythm, lines
    return None


def _follows(rhythm: Rhythm, lines: Stream) -> bool:
    """Whether each payment follows the one before by this rhythm; one in five may be skipped. Two
    payments alone say something only if they are equal."""
    if len(lines) == 2 and lines[0].units != lines[1].units:
        return False
    skipped = 0
    for one, other in pairwise(lines):
        steps = rhythm.steps(one.on_date, other.on_date)
        if steps is None:
            return False
        skipped += steps != 1
    return skipped * 5 <= len(lines) - 1


def _alike(lines: Stream) -> bool:
    """Whether two of three payments are like the one before. A price that rises breaks that once;
    what somebody spends in a shop every Saturday breaks it nearly always."""
    pairs = list(pairwise(abs(line.units) for line in lines))
    alike = sum(
        1 for one, other in pairs if abs(one - other) * 100 <= ALIKE_PERCENT * max(one, other)
    )
    return len(lines) > 1 and alike * 3 >= 2 * len(pairs)


def _clusters(lines: Stream) -> list[Stream]:
    """By amount: a new cluster where the next larger amount is a tenth larger or more."""
    ranked = sorted(lines, key=lambda line: (abs(line.units), *_when(line)))
    found: list[Stream] = []
    for line in ranked:
        if found and abs(line.units) * 10 < abs(found[-1][-1].units) * 11:
            found[-1].append(line)
        else:
            found.append([line])
    return [sorted(each, key=_when) for each in found]


def _recurring(
    item_id: UUID, rhythm: Rhythm, lines: Stream, today: date, verdict: Verdict | None
) -> Recurring:
    last, asset = lines[-1], lines[-1].asset
    before = sorted(line.units for line in lines[-1 - RECENT : -1])
    # The lower of the two in the middle: an amount that was really paid.
    usual = before[(len(before) - 1) // 2]
    spread = max(abs(units - usual) for units in before)
    away = abs(last.units - usual)
    days = sorted(line.on_date.day for line in lines[-RECENT:])
    anchor = days[(len(days) - 1) // 2]
    missed = 0
    while missed < ENDED_AFTER and (
        rhythm.after(last.on_date, missed + 1, anchor) + timedelta(days=rhythm.jitter) < today
    ):
        missed += 1
    state = State.ENDED if missed == ENDED_AFTER else State.MISSED if missed else State.ACTIVE
    return Recurring(
        id=item_id,
        merchant_key=last.merchant_key,
        rhythm=rhythm,
        state=state,
        amount=Amount(last.units, asset),
        usual=Amount(usual, asset),
        changed=away > spread and away * 100 > CHANGED_PERCENT * abs(usual),
        since=lines[0].on_date,
        last_on=last.on_date,
        next_on=None if state is State.ENDED else rhythm.after(last.on_date, missed + 1, anchor),
        missed=missed,
        seen=len(lines),
        records=tuple(line.record_id for line in lines[-SHOWN_RECORDS:]),
        largest_shift=max(_shift(rhythm, one, other) for one, other in pairwise(lines)),
        verdict=verdict,
    )


def _shift(rhythm: Rhythm, one: RecurringLine, other: RecurringLine) -> int:
    periods = rhythm.steps(one.on_date, other.on_date) or 1
    return abs((other.on_date - rhythm.after(one.on_date, periods)).days)


@attrs.frozen(kw_only=True)
class RecurringJudged:
    """Somebody confirmed or ignored a recurring payment, or took that back."""

    type: ClassVar[str] = "recurring.judged"

    recurring_id: UUID
    verdict: Verdict | None

    def payload(self) -> Mapping[str, Plain]:
        verdict = None if self.verdict is None else self.verdict.value
        return {"recurring": str(self.recurring_id), "verdict": verdict}


@attrs.frozen(kw_only=True)
class Judgement:
    """What a person said, and when."""

    verdict: Verdict
    said_by: UUID
    said_at: datetime
