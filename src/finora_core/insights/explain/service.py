"""Any figure of the books, one level deeper; and the origin of any entry."""

from calendar import monthrange
from collections.abc import Callable, Sequence
from datetime import date
from uuid import UUID

import attrs

from finora_core.insights.conversion import table_of
from finora_core.insights.explain.model import (
    By,
    Conversion,
    ConvertedFigure,
    Explanation,
    Figure,
    Origin,
    Part,
    Sum,
)
from finora_core.insights.explain.ports import ExplainWork
from finora_core.insights.model import rate_day
from finora_core.kernel.amount import Amount
from finora_core.kernel.page import DEFAULT_LIMIT, checked_limit, decode_cursor, encode_cursor
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin


@attrs.frozen
class ExplainService:
    begin: Begin[ExplainWork]

    def explain(
        self,
        scope: Scope,
        figure: Figure,
        *,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Explanation:
        """The figure and its parts: by account where it is of several, else by the categories
        below it, else by month, else by posting. Each part says how to go on. Raises UnknownAsset,
        AccountNotFound, BadCursor, BadLimit."""
        checked_limit(limit)
        with self.begin(scope) as work:
            if figure.account_id is not None:
                work.accounts.get(figure.account_id)
            zero = work.explained.amount(0, figure.asset)
            sums = work.explained.sums(figure)
            by = _level(figure, sums)
            total = Explanation(
                figure=figure,
                amount=_of(sums, zero),
                postings=sum(each.postings for each in sums),
                by=by,
                parts=(),
                next=None,
            )
            if by is By.POSTING:
                page = work.explained.postings(figure, cursor, limit)
                parts = tuple(
                    Part(
                        label=each.words,
                        amount=attrs.evolve(zero, units=each.units),
                        postings=1,
                        entry_id=each.entry_id,
                        category=each.category,
                        on_date=each.on_date,
                    )
                    for each in page.items
                )
                return attrs.evolve(total, parts=parts, next=page.next)
            return _paged(total, _parts(figure, sums, by, zero), cursor, limit)

    def converted(
        self,
        scope: Scope,
        figure: Figure,
        *,
        on: date | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> ConvertedFigure:
        """The figure over all assets, as one in its own: what moved by month, category and asset,
        each at its month's rate, as in profit and loss; what is held by asset, at the rate of `on`
        (the figure's last day, if not given). Raises as `explain` does."""
        checked_limit(limit)
        with self.begin(scope) as work:
            if figure.account_id is not None:
                work.accounts.get(figure.account_id)
            zero = work.explained.amount(0, figure.asset)
            until = min(figure.until, on or figure.until)
            cells = _cells(work, figure, until)
            amounts = [amount for _, amount, _, _ in cells]
            table = table_of(work.rates, amounts, zero.asset, (day for _, _, day, _ in cells))
            parts = []
            for key, amount, day, deeper in cells:
                one = table.sum((amount,), zero.asset, day)
                missing = next(iter(one.missing), None)
                part = Conversion(
                    amount=amount,
                    on=day,
                    rates=one.rates,
                    converted=one.total if missing is None else None,
                    missing=missing,
                    figure=deeper,
                )
                parts.append((key, part))
        after = None if cursor is None else decode_cursor(cursor, (str,))[0]
        rest = [each for each in parts if after is None or each[0] > after]
        return ConvertedFigure(
            amount=sum((part.converted for _, part in parts if part.converted is not None), zero),
            missing=tuple(dict.fromkeys(part.missing for _, part in parts if part.missing)),
            parts=tuple(part for _, part in rest[:limit]),
            next=encode_cursor(rest[limit - 1][0]) if len(rest) > limit else None,
        )

    def origin(self, scope: Scope, entry_id: UUID) -> Origin:
        """Raises EntryNotFound."""
        with self.begin(scope) as work:
            return work.explained.origin(entry_id)


_Cell = tuple[str, Amount, date, Figure]
"""Its place in the order, what it is, the day of its rate, and what explains it."""


def _cells(work: ExplainWork, figure: Figure, until: date) -> list[_Cell]:
    """What is converted by itself, in order: as fine as reports round."""
    found: list[_Cell] = []
    for asset in work.explained.every_asset():
        own = attrs.evolve(figure, asset=asset)
        sums = work.explained.sums(own)
        if figure.direction is None:
            units = sum(each.units for each in sums)
            found.append((asset, work.explained.amount(units, asset), until, own))
            continue
        cells: dict[tuple[date, str], int] = {}
        for each in sums:
            key = each.month, each.category
            cells[key] = cells.get(key, 0) + each.units
        for (month, category), units in cells.items():
            end = min(_month_end(month), figure.until)
            deeper = attrs.evolve(
                own,
                category=category,
                exactly=True,
                since=max(month, figure.since or month),
                until=end,
            )
            place = "\n".join((month.isoformat(), category, asset))
            day = rate_day(month, until)
            found.append((place, work.explained.amount(units, asset), day, deeper))
    return sorted((cell for cell in found if cell[1]), key=lambda cell: cell[0])


def _level(figure: Figure, sums: Sequence[Sum]) -> By:
    """The first that tells the parts apart. What is held is not asked for its categories."""
    if figure.direction is None and figure.account_id is None and len(_ids(sums)) > 1:
        return By.ACCOUNT
    if figure.direction is not None and not figure.exactly and figure.category != "":
        names = {_name(figure, each.category) for each in sums}
        if len(names) > 1 or names - {figure.category or ""}:
            return By.CATEGORY
    if figure.one_month:
        return By.POSTING
    return By.MONTH


def _parts(figure: Figure, sums: Sequence[Sum], by: By, zero: Amount) -> list[tuple[str, Part]]:
    """With the key of each in their order."""
    key: Callable[[Sum], str]
    match by:
        case By.ACCOUNT:
            names = {str(each.account_id): each.account for each in sums}

            def key(each: Sum) -> str:
                return str(each.account_id)

            def below(value: str) -> tuple[str, Figure]:
                return names[value], attrs.evolve(figure, account_id=UUID(value))

        case By.CATEGORY:

            def key(each: Sum) -> str:
                return _name(figure, each.category)

            def below(value: str) -> tuple[str, Figure]:
                # Its own items stand beside what is below it, and are no tree of their own.
                own = value == (figure.category or "")
                return value, attrs.evolve(figure, category=value, exactly=own)

        case _:

            def key(each: Sum) -> str:
                return each.month.isoformat()

            def below(value: str) -> tuple[str, Figure]:
                first = date.fromisoformat(value)
                since = max(first, figure.since or first)
                return value[:7], attrs.evolve(
                    figure, since=since, until=min(_month_end(first), figure.until)
                )

    grouped: dict[str, list[Sum]] = {}
    for each in sums:
        grouped.setdefault(key(each), []).append(each)
    parts = []
    for value, group in sorted(grouped.items()):
        label, deeper = below(value)
        part = Part(
            label=label,
            amount=_of(group, zero),
            postings=sum(each.postings for each in group),
            figure=deeper,
        )
        parts.append((value, part))
    return parts


def _paged(
    total: Explanation, parts: list[tuple[str, Part]], cursor: str | None, limit: int
) -> Explanation:
    after = None if cursor is None else decode_cursor(cursor, (str,))[0]
    rest = [each for each in parts if after is None or each[0] > after]
    shown = rest[:limit]
    more = encode_cursor(shown[-1][0]) if len(rest) > limit else None
    return attrs.evolve(total, parts=tuple(part for _, part in shown), next=more)


def _name(figure: Figure, category: str) -> str:
    """As deep as the figure's parts go."""
    return ":".join(category.split(":")[: figure.depth])


def _ids(sums: Sequence[Sum]) -> set[UUID]:
    return {each.account_id for each in sums}


def _of(sums: Sequence[Sum], zero: Amount) -> Amount:
    return attrs.evolve(zero, units=sum(each.units for each in sums))


def _month_end(first: date) -> date:
    return first.replace(day=monthrange(first.year, first.month)[1])
