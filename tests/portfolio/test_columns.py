"""Which price holds on which day, and sums of exact figures: as the slow way has them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from finora_core.market.prices.model import FRESH, Granularity, Price, PriceTable
from finora_core.portfolio.columns import Days, longs
from finora_core.portfolio.history import Sum, end_of, rounded

FIRST = date(2024, 2, 27)
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_HOURS = st.integers(-80 * 24, 12 * 24)


def sent(times: list[datetime]) -> bytes:
    whole = [(each - EPOCH) // timedelta(microseconds=1) for each in times]
    return b"".join(each.to_bytes(8, "big", signed=True) for each in whole)


@given(st.lists(st.tuples(_HOURS, st.booleans(), st.sampled_from((0, 0, -1))), max_size=8),
       st.integers(1, 12))  # fmt: skip
def test_the_price_of_each_day_is_the_one_that_a_table_finds(
    facts: list[tuple[int, bool, int]], count: int
) -> None:
    """Also at the last microsecond of a day, before 2000, and where two are of one time."""
    start = datetime.combine(FIRST, datetime.min.time(), UTC)
    known = sorted(
        (start + timedelta(hours=hours, microseconds=off), brief) for hours, brief, off in facts
    )
    days = Days(FIRST, FIRST + timedelta(days=count - 1))
    known = [each for each in known if each[0] <= end_of(days.last)]
    times = [at for at, _ in known]
    brief = {at for at, short in known if short}
    held = days.held(sent(times), sent(sorted(brief)))
    assert held.twice == (len(set(times)) < len(times))
    column = held.column("ticker:A", "EUR", range(1, len(times) + 1), 0)
    # Of one time the first given holds in a table, and the last in a column.
    table = PriceTable.of(
        Price(
            asset="ticker:A",
            quote="EUR",
            at=at,
            value=Decimal(number),
            source="test",
            granularity=Granularity.EXACT if at in brief else Granularity.DAILY,
        )
        for number, at in reversed(list(enumerate(times, start=1)))
    )
    for place, day in enumerate(days):
        fact = table.factor("ticker:A", "EUR", end_of(day))
        value = column.values[place - column.since] if place >= column.since else None
        assert value == getattr(fact, "value", None)
        assert any(a <= place < b for a, b in column.old) == getattr(fact, "stale", False)
    assert FRESH[Granularity.EXACT] < FRESH[Granularity.DAILY]


def test_numbers_are_as_they_were_sent() -> None:
    numbers = [0, -1, 2**63 - 1, -(2**63), 1_000_000]
    assert list(longs(b"".join(n.to_bytes(8, "big", signed=True) for n in numbers))) == numbers


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**12))
@example(5, 10)
@example(15, 10)
@example(-5, 10)
def test_rounding_is_half_to_even(above: int, below: int) -> None:
    assert rounded(above, below) == round(Fraction(above, below))


_EXACT = st.fractions(-1000, 1000, max_denominator=60)
_THIRDS = [(0, 0, Fraction(1, 300)), (0, 1, Fraction(1, 600)), (1, 1, Fraction(7, 600))]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), _EXACT), max_size=20),
       st.sampled_from((1, 100)), st.integers(-3, 3))  # fmt: skip
@example(_THIRDS, 100, 0)  # a third and a sixth are a half, which rounds to even
@example([(0, n, Fraction(1, 3)) for n in range(3)], 1, 0)
def test_a_sum_of_exact_figures_is_rounded_once(
    changes: list[tuple[int, int, Fraction]], unit: int, before: int
) -> None:
    figures = Sum(sorted(changes))
    slow = []
    for day in range(6):
        last = {key: exact for place, key, exact in sorted(changes) if place <= day}
        slow.append(before + round(sum(last.values(), Fraction(0)) * unit))
    assert figures.course(6, unit, before) == slow
