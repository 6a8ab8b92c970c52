"""`finora accounts`, `records`, `wallet`, `export`: reading the books."""

from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finora.commands.common import AsJson, Data, books, cell, put, refusals, say, screen, tell

if TYPE_CHECKING:
    from finora import Account, Amount, Finora, Record, RecordFilter, Scope

Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DATE")]


def accounts(data: Data = None, as_json: AsJson = False) -> None:
    """List the accounts with what they hold.

    Debts are negative, as in the ledger.

    \b
    Example: finora accounts --json
    """
    with refusals(as_json), books(data) as (finora, scope):
        held: dict[Any, list[Any]] = {}
        for balance in finora.ledger.balances(scope):
            held.setdefault(balance.account.id, []).append(balance)
        listed: list[dict[str, Any]] = [
            {
                "id": str(account.id),
                "name": account.name,
                "kind": account.kind.value,
                "balances": [
                    {
                        "amount": balance.amount.text,
                        "asset": balance.amount.asset.id,
                        "held": balance.held.text,
                        "available": balance.available.text,
                    }
                    for balance in held.get(account.id, ())
                ],
            }
            for account in finora.ledger.accounts(scope)
        ]
    if as_json:
        put({"accounts": listed})
        return
    rows = [
        (account["name"], account["kind"], f"{balance['amount']} {balance['asset']}")
        for account in listed
        for balance in account["balances"] or [{"amount": "", "asset": ""}]
    ]
    table(("account", "kind", "balance"), rows, right={2})


def records(
    account: Annotated[str | None, typer.Option(help="Name or id of the account.")] = None,
    since: Day = None,
    until: Day = None,
    text: Annotated[str | None, typer.Option(help="Part of description or counterparty.")] = None,
    category: Annotated[str | None, typer.Option(help="This category.")] = None,
    below: Annotated[
        bool, typer.Option("--below", help="With --category: and all that is below it.")
    ] = False,
    least: Annotated[
        str | None, typer.Option(help="Smallest amount; money out is below 0.")
    ] = None,
    most: Annotated[str | None, typer.Option(help="Largest amount.")] = None,
    currency: Annotated[
        str | None, typer.Option(help="Asset of --least and --most; else the account's, else EUR.")
    ] = None,
    limit: Annotated[int, typer.Option(help="How many, at most 1000.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every page.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List records, latest first.

    \b
    Example: finora records --text bakery --since 2026-01-01 --json
    """
    from finora import RecordFilter

    with refusals(as_json), books(data) as (finora, scope):
        of = account_named(finora, scope, account) if account else None
        asset = currency or (of and of.asset) or "EUR"
        wanted = RecordFilter(
            account_id=of.id if of else None,
            least=_amount(finora, scope, least, asset),
            most=_amount(finora, scope, most, asset),
            since=since.date() if since else None,
            until=until.date() if until else None,
            text=text,
            category=category,
            below=below,
        )
        found, more = _pages(finora, scope, wanted, cursor, limit, every)
    if as_json:
        put({"records": [_shown(record) for record in found], "next": more})
        return
    rows = [
        (str(record.on_date), record.counterparty or record.description, record.account,
         str(record.amount) + ("" if record.bank_state == "booked" else " pending"))
        for record in found
    ]  # fmt: skip
    table(("date", "who or what", "account", "amount"), rows, right={3})
    if more:
        say(f"more: --cursor {more}")


def wallet(
    period: Annotated[str, typer.Option(help="week, month or year.")] = "month",
    cashflow: Annotated[
        tuple[datetime, datetime] | None,
        typer.Option(formats=["%Y-%m-%d"], help="Daily flows of these days, SINCE UNTIL."),
    ] = None,
    networth: Annotated[int | None, typer.Option(help="Net worth of the last months.")] = None,
    today: Day = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show what is there, what came in, what went out.

    \b
    Example: finora wallet --period year
    """
    from finora import Period
    from finora_core.insights.wallet.model import BadPeriod
    from finora_core.kernel.plain import to_plain

    with refusals(as_json), books(data) as (finora, scope):
        day = today.date() if today else None
        if cashflow is not None:
            days = finora.wallet.cashflow(scope, cashflow[0].date(), cashflow[1].date())
            shown: Any = {"days": to_plain(days)}
        elif networth is not None:
            shown = {"months": to_plain(finora.wallet.networth(scope, networth, today=day))}
        else:
            if period not in set(Period):
                raise BadPeriod(f"the period is week, month or year, not {period!r}")
            summary = finora.wallet.summary(scope, Period(period), today=day)
            plain = to_plain(summary)
            assert isinstance(plain, dict)
            total = {"gap": None, **dict(plain["total"])}
            shown = {"summary": plain | {"total": total}}
    if as_json:
        put(shown)
        return
    _print_wallet(shown)


def export(
    format_: Annotated[str, typer.Option("--format", help="beancount or hledger.")] = "beancount",
    output: Annotated[Path | None, typer.Option(help="File to write; else the screen.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Write the books for beancount or hledger.

    With nothing lost: every entry with its id, dates, amounts, reversal and rate.

    \b
    Example: finora export --format hledger --output books.journal
    """
    with (
        refusals(as_json),
        books(data) as (finora, scope),
        closing(finora.export(scope, format_)) as lines,
    ):
        if output is not None:
            try:
                count = _write(output, lines)
            except OSError as error:
                tell("FILE_UNWRITABLE", f"{output}: {error.strerror}", (), as_json)
            if as_json:
                put({"format": format_, "output": str(output), "lines": count})
            else:
                say(f"{output}: {count} lines")
        elif as_json:
            put({"format": format_, "text": "".join(lines)})
        else:
            for line in lines:
                typer.echo(line, nl=False)


def _write(output: Path, lines: Iterable[str]) -> int:
    """All of it or nothing: an export that breaks off must not look whole."""
    target = output.resolve()
    if target.exists() and not target.is_file():
        return _fill(target, lines)  # a device or a pipe: nothing to put in its place
    part = target.with_name(f".{target.name}.part")
    try:
        count = _fill(part, lines)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return count


def _fill(path: Path, lines: Iterable[str]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        for line in lines:
            count += 1
            file.write(line)
    return count


def account_named(finora: "Finora", scope: "Scope", wanted: str) -> "Account":
    from finora_core.ledger.model import AccountNotFound

    for account in finora.ledger.accounts(scope):
        if wanted in (account.name, str(account.id)):
            return account
    raise AccountNotFound(f"no account {wanted!r}")


def _amount(finora: "Finora", scope: "Scope", wanted: str | None, asset: str) -> "Amount | None":
    from finora import Amount

    return None if wanted is None else Amount.parse(wanted, finora.ledger.asset(scope, asset))


def _pages(
    finora: "Finora",
    scope: "Scope",
    wanted: "RecordFilter",
    cursor: str | None,
    limit: int,
    every: bool,
) -> tuple[list["Record"], str | None]:
    found: list[Record] = []
    while True:
        page = finora.records.list(scope, wanted, cursor=cursor, limit=1000 if every else limit)
        found.extend(page.items)
        cursor = page.next
        if cursor is None or not every:
            return found, cursor


def _shown(record: "Record") -> dict[str, Any]:
    return {
        "id": str(record.id),
        "date": record.on_date.isoformat(),
        "amount": record.amount.text,
        "asset": record.amount.asset.id,
        "description": record.description,
        "counterparty": record.counterparty,
        "bank_id": record.bank_id,
        "account": record.account,
        "category": record.category,
        "state": record.bank_state.value,
        "status": record.status.value,
    }


def table(
    columns: tuple[str, ...], rows: list[tuple[Any, ...]], right: frozenset[int] | set[int]
) -> None:
    """Print rows for people."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, header_style="dim")
    for index, column in enumerate(columns):
        # An id that is cut off could not be given to the next command.
        table.add_column(
            column,
            justify="right" if index in right else "left",
            min_width=36 if column == "id" else None,
        )
    for row in rows:
        table.add_row(*map(cell, row))
    screen().print(table)


def _print_wallet(shown: dict[str, Any]) -> None:
    if "days" in shown:
        rows = [(day["day"], *_flow(flow)) for day in shown["days"] for flow in day["flows"]]
        table(("day", "income", "spending"), rows, right={1, 2})
    elif "months" in shown:
        worth = [(each["day"], _money(amount))
                 for each in shown["months"] for amount in each["amounts"]]  # fmt: skip
        table(("end of", "net worth"), worth, right={1})
    else:
        _print_summary(shown["summary"])


def _print_summary(summary: dict[str, Any]) -> None:
    total, gap = _money(summary["total"]["value"]), summary["total"]["gap"]
    rows = [("balance", _money(amount)) for amount in summary["balances"]]
    rows.append((f"in all, but {gap}" if gap else "in all", total))
    for flow in summary["flows"]:
        income, spending = _flow(flow)
        rows += [("income", income), ("spending", spending)]
    rows += [(f"  {top['category'] or 'no category'}", _money(top["spent"]))
             for top in summary["top_categories"]]  # fmt: skip
    table((f"{summary['since']} to {summary['until']}", "amount"), rows, right={1})
    trend = [(month["month"][:7], *_flow(flow))
             for month in summary["trend"] for flow in month["flows"]]  # fmt: skip
    table(("month", "income", "spending"), trend, right={1, 2})


def _flow(flow: dict[str, Any]) -> tuple[str, str]:
    return _money(flow["income"]), _money(flow["expense"])


def _money(amount: dict[str, str]) -> str:
    return f"{Decimal(amount['amount']):,f} {amount['asset']}"
