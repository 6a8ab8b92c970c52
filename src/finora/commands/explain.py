"""`finora explain`: what a figure is the sum of."""

from datetime import UTC, date, datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from finora.commands.books import Day, account_named, table
from finora.commands.common import AsJson, Data, books, put, refusals, say


def explain(
    entry: Annotated[UUID | None, typer.Argument(help="An entry: tell where it is from.")] = None,
    asset: Annotated[str, typer.Option(help="What is counted.")] = "EUR",
    until: Day = None,
    since: Day = None,
    account: Annotated[str | None, typer.Option(help="Name or id of an own account.")] = None,
    direction: Annotated[
        str | None, typer.Option(help="in, out, transfer, opening or exchange.")
    ] = None,
    category: Annotated[str | None, typer.Option(help="With all that is below it.")] = None,
    exactly: Annotated[bool, typer.Option(help="Without what is below the category.")] = False,
    converted: Annotated[
        bool,
        typer.Option("--converted", help="All assets as one in --asset, by dated rates."),
    ] = False,
    limit: Annotated[int, typer.Option(help="How many parts, at most 1000.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show what a figure is the sum of, one level deeper.

    Without more, it is what all own accounts hold: by account, then by month, then entry by entry.

    \b
    Example: finora explain --direction out --category Food --since 2026-01-01 --until 2026-12-31
    """
    from finora_core.insights.explain.model import BadFigure, Direction, Figure
    from finora_core.kernel.plain import to_plain

    with refusals(as_json), books(data) as (finora, scope):
        if entry is not None:
            origin: Any = to_plain(finora.explain.origin(scope, entry))
            if as_json:
                put({"origin": origin})
                return
            _tell(origin)
            return
        if direction is not None and direction not in set(Direction):
            raise BadFigure(f"direction is one of {', '.join(Direction)}")
        figure = Figure(
            asset=asset,
            until=until.date() if until else date.max,
            since=since.date() if since else None,
            account_id=account_named(finora, scope, account).id if account else None,
            direction=Direction(direction) if direction else None,
            category=category,
            exactly=exactly,
        )
        if converted:
            today = datetime.now(UTC).date()
            day = None if until else today
            told = finora.explain.converted(scope, figure, on=day, cursor=cursor, limit=limit)
            _conversions(told, as_json)
            return
        found = finora.explain.explain(scope, figure, cursor=cursor, limit=limit)
    if as_json:
        put({"explanation": to_plain(found)})
        return
    rows = [
        (part.label or "no category", part.postings, str(part.amount), part.entry_id or "")
        for part in found.parts
    ]
    table((found.by.value, "postings", "amount", "entry"), rows, right={1, 2})
    say(f"{found.amount} from {found.postings} postings")
    if found.next:
        say(f"more: --cursor {found.next}")


def _conversions(found: Any, as_json: bool) -> None:
    from finora_core.kernel.plain import to_plain

    if as_json:
        put({"converted": to_plain(found)})
        return
    rows = [
        (
            part.figure.since.isoformat()[:7] if part.figure.since else "",
            part.figure.category or "",
            str(part.amount),
            "; ".join(
                f"1 {rate.base} = {rate.value} {rate.quote} ({rate.source}, {rate.on_date}, "
                f"revision {rate.revision})"
                for rate in part.rates
            ),
            str(part.missing) if part.converted is None else str(part.converted),
        )
        for part in found.parts
    ]
    table(("month", "category", "amount", "rate", "converted"), rows, right={2, 4})
    say(f"{found.amount} in all")
    for each in found.missing:
        say(f"without what has {each}")
    if found.next:
        say(f"more: --cursor {found.next}")


def _tell(origin: dict[str, Any]) -> None:
    entry, received = origin["entry"], origin["received"]
    say(f"entry {entry['id']} of {entry['on_date']}, {entry['cause']}")
    for posting in entry["postings"]:
        say(f"  {posting['amount']['amount']} {posting['amount']['asset']}")
    for label in origin["labels"]:
        say(f"  {label['category'] or 'no category'} by {label['source']}, {label['at'][:10]}")
    if received:
        place = f", line {received['place']}" if received["place"] is not None else ""
        say(f"  from {received['file'] or received['source']}{place}: {received['raw']}")
