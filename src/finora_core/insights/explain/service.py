"""Any figure of the books, one level deeper; and the origin of any entry."""

from calendar import monthrange
from collections.abc import Callable, Sequence
from datetime import date
from uuid import UUID

import attrs

from finora_core.insights.explain.model import By, Explanation, Figure, Origin, Part, Sum
from finora_core.insights.explain.ports import ExplainWork
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

    def origin(self, scope: Scope, entry_id: UUID) -> Origin:
        """Raises EntryNotFound."""
        with self.begin(scope) as work:
            return work.explained.origin(entry_id)


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
