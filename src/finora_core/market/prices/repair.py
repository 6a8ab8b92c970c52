"""Histories as sources have them, the faults that are known of them, and what they come to when
mended. Nothing is guessed: a fault is mended where an exact factor explains it, and told where not.

Three are known: days in another unit (a hundred times as much, or as little), days that a split was
not applied to, and closes that a dividend is missing in. A day without a price is a gap.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

import attrs

from finora_core.market.prices.model import Granularity

UNIT = Fraction(100)
_LEAST = Fraction(3, 2)
"""A split by less cannot be told from what markets do in a day."""
_CALM = Fraction(6, 5)
"""No jump: a move that no split or unit of ours explains."""
_DIGITS = 28


class Fault(StrEnum):
    UNIT = "unit"
    SPLIT = "split"
    DIVIDEND = "dividend"


@attrs.frozen(kw_only=True)
class Bar:
    """One line of a history. `adjusted` is the close with all that was paid out since taken off,
    None where the source does not say."""

    at: datetime
    close: Fraction
    open: Fraction | None = None
    high: Fraction | None = None
    low: Fraction | None = None
    adjusted: Fraction | None = None
    volume: int | None = None
    dividend: Fraction = Fraction(0)
    """Paid for each share: whoever had it the day before gets it."""
    split: Fraction = Fraction(0)
    """So many new ones for one old; 0 where nothing was split."""
    granularity: Granularity = Granularity.DAILY

    def times(self, factor: Fraction) -> "Bar":
        """With every price so many times as much."""

        def more(price: Fraction | None) -> Fraction | None:
            return None if price is None else price * factor

        return attrs.evolve(
            self,
            close=self.close * factor,
            open=more(self.open),
            high=more(self.high),
            low=more(self.low),
            adjusted=more(self.adjusted),
        )


@attrs.frozen(kw_only=True)
class Fix:
    """One day, and what its close, or its adjusted close, comes to."""

    at: datetime
    fault: Fault
    before: Fraction
    after: Fraction


@attrs.frozen(kw_only=True)
class Mended:
    bars: tuple[Bar, ...]
    """All of them, oldest first."""
    fixes: tuple[Fix, ...]
    unclear: tuple[str, ...] = ()
    """What looks like a fault and was left as it is, with the reason."""


def mend(bars: Iterable[Bar], right: Fraction | None = None) -> Mended:
    """`right` is a price that the history is known to be near, where half of it is in one unit and
    half in the other."""
    found = sorted(bars, key=lambda bar: bar.at)
    fixes: list[Fix] = []
    unclear: list[str] = []
    found = _units(found, right, fixes, unclear)
    for split in [bar for bar in found if bar.split not in (0, 1)]:
        found = _split(found, split, fixes, unclear)
    found = _dividends(found, fixes)
    return Mended(bars=tuple(found), fixes=tuple(fixes), unclear=tuple(unclear))


def adjusted(bars: Sequence[Bar]) -> list[Fraction]:
    """Each close, oldest first as the bars are, with every later dividend taken off in proportion
    to the close before it."""
    closes, factor = [], Fraction(1)
    for place in range(len(bars) - 1, -1, -1):
        closes.append(bars[place].close * factor)
        factor *= _kept(bars, place)
    return closes[::-1]


def _kept(bars: Sequence[Bar], place: int) -> Fraction:
    """What of the close before is left when the dividend of that place was paid."""
    if place == 0 or not 0 < bars[place].dividend < bars[place - 1].close:
        return Fraction(1)
    return 1 - bars[place].dividend / bars[place - 1].close


def _near(found: Fraction, wanted: Fraction) -> bool:
    """Within an eighth of the way to 1, as ratios go: of 100, between 57 and 177."""
    one, other = sorted((wanted**7, wanted**9))
    return one < found**8 < other


def _levels(bars: Sequence[Bar], ratio: Fraction) -> list[Fraction] | None:
    """How many times as much each bar is as the newest, where it jumps by the ratio and back; None
    where it jumps about so much that a jump says nothing."""
    levels = [Fraction(1)]
    for newer, older in zip(bars[::-1], bars[-2::-1], strict=False):
        jump = older.close / newer.close
        level = levels[-1]
        if not 1 / _CALM < jump < _CALM:
            if _near(jump, ratio):
                level *= ratio
            elif _near(jump, 1 / ratio):
                level /= ratio
            elif not min(ratio, 1 / ratio) < jump**2 < max(ratio, 1 / ratio):
                return None
        levels.append(level)
    return levels[::-1]


def _units(
    bars: list[Bar], right: Fraction | None, fixes: list[Fix], unclear: list[str]
) -> list[Bar]:
    if any(_near(bar.split, UNIT) or _near(bar.split, 1 / UNIT) for bar in bars if bar.split):
        return bars
    bars = [_inner_unit(bar) for bar in bars]
    levels = _levels(bars, UNIT) if bars else None
    if levels is None or len(set(levels)) < 2:
        return bars
    if len(set(levels)) > 2:
        unclear.append("some days are in other units, and there are more than two of them")
        return bars
    by_level = {each: [bar for bar, of in zip(bars, levels, strict=True) if of == each]
                for each in sorted(set(levels))}  # fmt: skip
    held = _held(by_level, right)
    if held is None:
        unclear.append("about as many days are in one unit as in the other, and none was traded")
        return bars
    return [
        bar if level == held else _noted(bar, bar.times(held / level), Fault.UNIT, fixes)
        for bar, level in zip(bars, levels, strict=True)
    ]


def _held(by_level: Mapping[Fraction, list[Bar]], right: Fraction | None) -> Fraction | None:
    """The level that holds: near what is known to be right; else where there was trade and not on
    the other; else that of two thirds of the days."""
    if right is not None:
        near = [each for each, bars in by_level.items() if 1 / UNIT < (bars[0].close / right) ** 2
                < UNIT]  # fmt: skip
        return near[0] if len(near) == 1 else None
    traded = [each for each, bars in by_level.items() if any(bar.volume for bar in bars)]
    if len(traded) == 1:
        return traded[0]
    days = sum(map(len, by_level.values()))
    most = max(by_level, key=lambda each: len(by_level[each]))
    return most if 3 * len(by_level[most]) >= 2 * days else None


def _inner_unit(bar: Bar) -> Bar:
    """A close in another unit than its own day's open takes the low or high with it: each on its
    own is brought to the close's unit, so that the day moves as one."""

    def like(price: Fraction | None) -> Fraction | None:
        if price is None or not price:
            return price
        ratio = price / bar.close
        if _near(ratio, UNIT):
            return price / UNIT
        return price * UNIT if _near(ratio, 1 / UNIT) else price

    opened, high, low = like(bar.open), like(bar.high), like(bar.low)
    if (opened, high, low) == (bar.open, bar.high, bar.low):
        return bar
    known = [price for price in (opened, high, low, bar.close) if price]
    return attrs.evolve(
        bar,
        open=opened,
        high=max(known) if high is not None else None,
        low=min(known) if low is not None else None,
    )


def _split(bars: list[Bar], split: Bar, fixes: list[Fix], unclear: list[str]) -> list[Bar]:
    """Days before a split that is not in them. Those after it are as they should be."""
    ratio = split.split
    if max(ratio, 1 / ratio) < _LEAST:
        return bars
    levels = _levels(bars, ratio)
    if levels is None:
        unclear.append(f"the split of {split.at:%Y-%m-%d} is smaller than what prices did in a day")
        return bars
    after = [level for bar, level in zip(bars, levels, strict=True) if bar.at >= split.at]
    if set(after) != {1}:
        unclear.append(f"prices jump by the ratio of {split.at:%Y-%m-%d} after it too")
        return bars
    return [
        bar if level == 1 else _noted(bar, _shares(bar.times(1 / level), level), Fault.SPLIT, fixes)
        for bar, level in zip(bars, levels, strict=True)
    ]


def _shares(bar: Bar, level: Fraction) -> Bar:
    return bar if bar.volume is None else attrs.evolve(bar, volume=round(bar.volume * level))


def _dividends(bars: list[Bar], fixes: list[Fix]) -> list[Bar]:
    """Closes that say to be adjusted, and are not for one of the dividends."""
    factor, mended = Fraction(1), bars[-1:]
    for place in range(len(bars) - 1, 0, -1):
        day, before = bars[place], bars[place - 1]
        kept = _kept(bars, place)
        if kept != 1 and day.adjusted and before.adjusted:
            step = (before.adjusted / before.close) / (day.adjusted / day.close)
            # Nearer to nothing taken off than to all of it.
            if step > (1 + kept) / 2:
                factor *= kept
        if factor != 1 and before.adjusted is not None:
            after = before.adjusted * factor
            fixes.append(
                Fix(at=before.at, fault=Fault.DIVIDEND, before=before.adjusted, after=after)
            )
            before = attrs.evolve(before, adjusted=after)
        mended.append(before)
    return mended[::-1]


def _noted(bar: Bar, mended: Bar, fault: Fault, fixes: list[Fix]) -> Bar:
    fixes.append(Fix(at=bar.at, fault=fault, before=bar.close, after=mended.close))
    return mended


def decimal_of(price: Fraction) -> Decimal:
    """As a fact is kept: exact where 28 places after the point are enough, else rounded to them,
    half to even."""
    units = round(price * 10**_DIGITS)
    # From text, for arithmetic on Decimals would round to the context's digits.
    whole, part = divmod(units, 10**_DIGITS)
    return Decimal(f"{whole}.{part:0{_DIGITS}}".rstrip("0").rstrip("."))


@attrs.frozen(kw_only=True)
class Action:
    """What a company did to its shares on a day."""

    on_date: date
    kind: str
    value: Fraction


def actions_of(bars: Iterable[Bar]) -> list[Action]:
    found = []
    for bar in bars:
        for kind, value in (("split", bar.split), ("dividend", bar.dividend)):
            if value:
                found.append(Action(on_date=bar.at.date(), kind=kind, value=value))
    return found
