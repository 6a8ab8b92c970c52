"""A figure, and what it is the sum of: level by level, down to postings and the lines they came of.

Every figure of the books is a sum of postings: what an account holds, what somebody owns, what a
category took in a year. So one kind of figure says them all, by what it asks of postings.
"""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.errors import Invalid
from finora_core.kernel.outcome import Ok, Partial
from finora_core.ledger.model import Entry
from finora_core.market.rates.model import NoRate, Rate
from finora_core.market.rates.model import Sum as SumOfAll
from finora_core.records.model import Part as SplitPart


class BadFigure(Invalid):
    """What is asked of the postings does not fit together."""

    code = "BAD_FIGURE"


class Direction(StrEnum):
    """How a posting of an own account counts."""

    IN = "in"
    OUT = "out"
    TRANSFER = "transfer"
    OPENING = "opening"
    EXCHANGE = "exchange"


class By(StrEnum):
    """What the parts of a figure are."""

    ACCOUNT = "account"
    CATEGORY = "category"
    MONTH = "month"
    POSTING = "posting"


@attrs.frozen(kw_only=True)
class Figure:
    """The sum of the postings of own accounts in one asset that are all that is asked here; None
    asks nothing. What an account holds: `account_id` and `until`. What is owned: `until`. What was
    spent on something: `direction`, `category` and both days."""

    asset: str
    until: date
    since: date | None = None
    account_id: UUID | None = None
    direction: Direction | None = None
    category: str | None = None
    """With all that is below it, unless `exactly`; '' is what has none."""
    exactly: bool = False

    def __attrs_post_init__(self) -> None:
        if self.since is not None and self.since > self.until:
            raise BadFigure(f"{self.until} is before {self.since}")

    @property
    def depth(self) -> int:
        """How many levels of category names its parts by category have."""
        return self.category.count(":") + 2 if self.category else 1

    @property
    def one_month(self) -> bool:
        since, until = self.since, self.until
        return since is not None and (since.year, since.month) == (until.year, until.month)


@attrs.frozen(kw_only=True)
class Sum:
    """What one account moved in one category in one month, as far as its figure asks."""

    account_id: UUID
    account: str
    month: date
    category: str
    units: int
    postings: int


@attrs.frozen(kw_only=True)
class Posted:
    """One posting of the figure, or the part of a split one."""

    entry_id: UUID
    line: int
    part: int
    on_date: date
    account: str
    category: str
    words: str
    """Of the record it came of; of an entry by hand its reference, or ''."""
    units: int


@attrs.frozen(kw_only=True)
class Part:
    """A summand. `figure` goes on below it; a posting has its entry instead."""

    label: str
    amount: Amount
    postings: int
    figure: Figure | None = None
    entry_id: UUID | None = None
    category: str | None = None
    """Of a posting: what it counts under. A split one is a part for each of its own."""
    on_date: date | None = None
    """Of a posting."""


@attrs.frozen(kw_only=True)
class Explanation:
    """`amount` is the sum of the amounts of all its parts, on whatever page they are."""

    figure: Figure
    amount: Amount
    postings: int
    by: By
    parts: tuple[Part, ...]
    next: str | None


@attrs.frozen(kw_only=True)
class Conversion:
    """A summand of a converted figure: what is in one asset, of one month and category where it is
    what moved, and the facts that say what it was worth."""

    amount: Amount
    on: date
    """The day whose rate holds: the month's last, or the figure's."""
    rates: tuple[Rate, ...]
    """None where nothing was converted; two where the way leads through the pivot."""
    converted: Amount | None
    missing: NoRate | None
    """Why it is not converted, and not in the sum."""
    figure: Figure
    """Explains `amount` in turn."""


@attrs.frozen(kw_only=True)
class ConvertedFigure:
    """`amount` is the sum of all `converted`, on whatever page they are."""

    amount: Amount
    missing: tuple[NoRate, ...]
    parts: tuple[Conversion, ...]
    next: str | None

    @property
    def outcome(self) -> Ok[Amount] | Partial[Amount]:
        return SumOfAll(self.amount, (), self.missing).outcome


@attrs.frozen(kw_only=True)
class Said:
    """One label of an entry, in the order they were given: the last one holds."""

    category: str
    flow: str
    source: str
    set_by: UUID
    at: datetime
    rule_id: UUID | None = None
    """The rule that said it; it may be gone since."""
    parts: tuple[SplitPart, ...] = ()
    """Of a label that splits its entry."""


@attrs.frozen(kw_only=True)
class Received:
    """The line of somebody's books that an entry came of."""

    record_id: UUID
    source: str
    file: str | None
    place: int | None
    raw: object
    decisions: tuple[Mapping[str, object], ...] = ()


@attrs.frozen(kw_only=True)
class Origin:
    """An entry, and all that made it what it is and count as it counts."""

    entry: Entry
    reversed_by: UUID | None
    labels: tuple[Said, ...]
    received: Received | None
