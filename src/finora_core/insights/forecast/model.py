"""The forecast of cash flow, and its error beside it.

What is expected is the recurring payments on their days, and, of all other money, the median week.
The same is worked out as of earlier days, from what had been there by then, and compared with what
came: the mean of the absolute errors is shown beside the forecast, and the interval is as wide as
four of five of those errors were.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from statistics import median

import attrs

from finora_core.insights.model import NoForecast, Reason, rounded
from finora_core.insights.recurring.model import (
    Known,
    Recurring,
    RecurringLine,
    Verdict,
    find_recurring,
)
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.errors import Invalid

MIN_DAYS, MAX_DAYS = 1, 366
WEEKS = 26
"""How many weeks the median of the rest is of, at most."""
LEAST_WEEKS = 12
ORIGINS, LEAST_ORIGINS = 12, 5
"""From how many earlier days the forecast is tried, a week apart."""
BEFORE_JUDGED = 4
"""How many errors are known before an interval is judged."""
WIDTH_PERCENT = 80
BACK = timedelta(weeks=WEEKS + ORIGINS)


class BadForecast(Invalid):
    """A forecast is for 1 to 366 days."""

    code = "BAD_FORECAST"


@attrs.frozen(kw_only=True)
class Due:
    """A payment that is expected."""

    on_date: date
    recurring: Recurring

    @property
    def amount(self) -> Amount:
        return self.recurring.amount


@attrs.frozen(kw_only=True)
class Expected:
    """What one forecast is made of."""

    recurring: Amount
    rest: Amount
    """So many median weeks of all other money."""
    due: tuple[Due, ...]

    @property
    def net(self) -> Amount:
        return self.recurring + self.rest


@attrs.frozen(kw_only=True)
class BackTest:
    """How wrong it was before. The windows of the origins overlap, so the errors are not
    independent: this is a measure, not a guarantee."""

    origins: int
    mean_error: Amount
    """Mean absolute error of what comes in less what goes out."""
    coverage: int | None
    """Of the origins whose interval came from earlier ones alone, the share whose outcome lay
    within it, in basis points; None if there are none."""


@attrs.frozen(kw_only=True)
class Forecast:
    asset: Asset
    since: date
    until: date
    held: Amount
    """What own accounts hold now."""
    outlook: "Outlook | NoForecast"

    @property
    def ends_at(self) -> Amount | None:
        """What own accounts are expected to hold at the end."""
        known = self.outlook
        return None if isinstance(known, NoForecast) else self.held + known.expected.net


@attrs.frozen(kw_only=True)
class Outlook:
    expected: Expected
    low: Amount
    high: Amount
    test: BackTest


@attrs.frozen(kw_only=True)
class Course:
    """What moved in one asset: by day, and the lines among it that may recur."""

    asset: Asset
    began: date
    """The first day of the books."""
    daily: Mapping[date, int]
    lines: Sequence[RecurringLine]
    ignored: frozenset[object] = frozenset()
    """Ids of recurring payments that somebody said are none."""


def outlook_of(course: Course, today: date, days: int) -> Outlook | NoForecast:
    """From the day after `today`, for so many days."""
    if not MIN_DAYS <= days <= MAX_DAYS:
        raise BadForecast(f"a forecast is for {MIN_DAYS} to {MAX_DAYS} days, not {days}")
    known: Known = {}
    expected = expected_of(course, today, days, known)
    errors = []
    for week in range(ORIGINS):
        origin = today - timedelta(days=days + 7 * week)
        guessed = expected_of(course, origin, days, known)
        if guessed is None:
            break
        errors.append(_came(course, origin, days) - guessed.net.units)
    if expected is None or len(errors) < LEAST_ORIGINS:
        return NoForecast(Reason.TOO_LITTLE_HISTORY)
    width = quantile(errors)
    asset = course.asset
    return Outlook(
        expected=expected,
        low=expected.net - Amount(width, asset),
        high=expected.net + Amount(width, asset),
        test=BackTest(
            origins=len(errors),
            mean_error=Amount(rounded(Fraction(sum(map(abs, errors)), len(errors))), asset),
            coverage=coverage_of(errors[::-1]),
        ),
    )


def expected_of(
    course: Course, origin: date, days: int, known: Known | None = None
) -> Expected | None:
    """As of the end of `origin`, from what was there by then; None with too little of it."""
    weeks = min(WEEKS, (origin - course.began).days // 7)
    if weeks < LEAST_WEEKS:
        return None
    until = origin + timedelta(days=days)
    lines = [line for line in course.lines if line.on_date <= origin]
    found = [
        each
        for each in find_recurring(lines, origin, known=known)
        if each.id not in course.ignored and each.verdict is not Verdict.IGNORED
    ]
    due = sorted(
        (Due(on_date=day, recurring=each) for each in found for day in each.coming(origin, until)),
        key=lambda each: (each.on_date, each.recurring.merchant_key, str(each.recurring.id)),
    )
    weekly = median(_rest(course, lines, found, origin, weeks))
    asset = course.asset
    return Expected(
        recurring=sum((each.amount for each in due), Amount(0, asset)),
        rest=Amount(rounded(weekly * days / 7), asset),
        due=tuple(due),
    )


def _rest(
    course: Course,
    lines: Iterable[RecurringLine],
    found: Iterable[Recurring],
    origin: date,
    weeks: int,
) -> list[Fraction]:
    """All that moved in each of the weeks up to the origin, less what recurs."""
    sums = [Fraction(0)] * weeks
    recurs = {record for each in found if each.next_on is not None for record in each.records}

    def add(day: date, units: int) -> None:
        back = (origin - day).days // 7
        if 0 <= back < weeks:
            sums[back] += units

    first = origin - timedelta(days=7 * weeks - 1)
    for back in range((origin - first).days + 1):
        day = first + timedelta(days=back)
        add(day, course.daily.get(day, 0))
    for line in lines:
        if line.record_id in recurs:
            add(line.on_date, -line.units)
    return sums


def _came(course: Course, origin: date, days: int) -> int:
    return sum(course.daily.get(origin + timedelta(days=day), 0) for day in range(1, days + 1))


def quantile(errors: Sequence[int]) -> int:
    """The least width that covers four of five of the errors (nearest rank)."""
    sizes = sorted(map(abs, errors))
    return sizes[-(-len(sizes) * WIDTH_PERCENT // 100) - 1]


def coverage_of(errors: Sequence[int]) -> int | None:
    """Oldest first: how often an error lay within the width of those before it."""
    judged = range(BEFORE_JUDGED, len(errors))
    within = sum(1 for at in judged if abs(errors[at]) <= quantile(errors[:at]))
    return within * 10_000 // len(judged) if judged else None
