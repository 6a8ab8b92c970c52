"""What assets were worth at the end of each of a run of days, as whole numbers in columns: so a
holding costs a day one multiplication and one addition.
"""

import sys
from array import array
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise

import attrs

from finora_core.market.prices.model import FRESH, Granularity, midnight

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = midnight(date(2000, 1, 1))
_DAY = timedelta(days=1) // _MICROSECOND
_DAILY = FRESH[Granularity.DAILY] // _MICROSECOND
_BRIEF = FRESH[Granularity.INTRADAY] // _MICROSECOND
_KNOWN = 32
"""Of so many runs of times is it remembered what they mean."""
Run = tuple[int, int]
"""From a place until before another; the first of the days has place 0."""


@attrs.frozen
class Column:
    """What one whole unit of an asset was worth in `quote` on every day from place `since` on, in
    units of 10**-scale."""

    asset: str
    quote: str
    since: int
    values: Sequence[int]
    scale: int
    old: Sequence[Run]
    """Where that price was too old to be relied on."""


@attrs.frozen
class Held:
    """Which fact of a pair holds on every day from place `since` on, by its number."""

    since: int
    facts: Sequence[int]
    """None where nothing is known on any of the days."""
    old: Sequence[Run]
    twice: bool
    """Two are of one time."""
    every: bool
    """Each holds on one day."""

    def column(self, asset: str, quote: str, values: Sequence[int], scale: int) -> Column:
        """With what each of the facts says."""
        chosen = values if self.every else [values[fact] for fact in self.facts]
        return Column(asset, quote, self.since, chosen, scale, self.old)


@attrs.define
class Days:
    """A run of days, both in it."""

    first: date
    last: date
    # What is traded at one place has its facts at the same times.
    _known: dict[tuple[bytes, bytes], Held] = attrs.field(factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __getitem__(self, place: int) -> date:
        return self.first + timedelta(days=place)

    def __iter__(self) -> Iterator[date]:
        return map(self.__getitem__, range(len(self)))

    def place(self, day: date) -> int:
        """Days before the first have its place, days after the last the one behind it."""
        return min(max((day - self.first).days, 0), len(self))

    def held(self, times: bytes, brief: bytes) -> Held:
        """Of facts at these times, oldest first; of one time the last one holds. What is of one of
        the `brief` times is old after a week. A time has eight bytes, the highest first: whole
        microseconds since the year 2000."""
        found = self._known.get((times, brief))
        if found is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            found = self._known[times, brief] = self._held(longs(times), frozenset(longs(brief)))
        return found

    def _held(self, times: Sequence[int], brief: frozenset[int]) -> Held:
        start = (midnight(self.first) - _EPOCH) // _MICROSECOND // _DAY
        places = [min(max(time // _DAY - start, 0), len(self)) for time in times]
        facts: list[int] = []
        old: list[Run] = []
        for fact, (since, until) in enumerate(pairwise([*places, len(self)])):
            # Of several on a day the last; of those before the first day the latest.
            if since < until:
                facts += [fact] * (until - since)
                fresh = _BRIEF if times[fact] in brief else _DAILY
                # It is old on a day at whose last microsecond more time than that has gone by.
                stale = max((times[fact] + fresh + 1) // _DAY - start, since)
                if stale < until:
                    old.append((stale, until))
        twice = any(time == after for time, after in pairwise(times))
        every = facts == list(range(len(times)))
        return Held(len(self) - len(facts), facts, old, twice, every)


def longs(sent: bytes) -> Sequence[int]:
    """Signed numbers of eight bytes each, the highest first."""
    return _numbers("q", sent)


def ints(sent: bytes) -> Sequence[int]:
    """The same of four."""
    return _numbers("i", sent)


def _numbers(kind: str, sent: bytes) -> Sequence[int]:
    found = array(kind, sent)
    if sys.byteorder == "little":
        found.byteswap()
    return found
