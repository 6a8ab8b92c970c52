"""`finora accounts`, `records`, `wallet`, `export`: reading the books."""

from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finora.commands.common import AsJson, Data, books, put, refusals, screen

if TYPE_CHECKING:
    from finora import Finora, Record, RecordFilter, Scope

Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"])]


def accounts(data: Data = None, as_json: AsJson = False) -> None:
    """List the accounts with what they hold.

    Debts are negative, as in the ledger. Example: finora accounts --json
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
    _print(("account", "kind", "balance"), rows, right={2})


def records(
    account: Annotated[str | None, typer.Option(help="Name or id of the account.")] = None,
    since: Day = None,
    until: Day = None,
    text: Annotated[str | None, typer.Option(help="Part of description or counterparty.")] = None,
    category: Annotated[str | None, typer.Option()] = None,
    limit: Annotated[int, typer.Option(help="How many, at most 1000.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every page.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List records, latest first.

    Example: finora records --text bakery --since 2026-01-01 --json
    """
    from finora import RecordFilter

    with refusals(as_json), books(data) as (finora, scope):
        wanted = RecordFilter(
            account_id=_account(finora, scope, account) if account else None,
            since=since.date() if since else None,
            until=until.date() if until else None,
            text=text,
            category=category,
        )
        found, more = _pages(finora, scope, wanted, cursor, limit, every)
    if as_json:
        put({"records": [_shown(record) for record in found], "next": more})
        return
    rows = [
        (str(record.on_date), record.counterparty or record.description, record.account,
         str(record.amount) + (" pending" if record.entry_id is None else ""))
        for record in found
    ]  # fmt: skip
    _print(("date", "who or what", "account", "amount"), rows, right={3})
    if more:
        typer.echo(f"more: --cursor {more}")


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
    """Write the books as a beancount file or an hledger journal, with nothing lost.

    Example: finora export --format hledger --output books.journal
    """
    with (
        refusals(as_json),
        books(data) as (finora, scope),
        closing(finora.export(scope, format_)) as lines,
    ):
        if output is not None:
            count = _write(output, lines)
            put({"format": format_, "output": str(output), "lines": count}) if as_json else (
                typer.echo(f"{output}: {count} lines")
            )
        elif as_json:
            put({"format": format_, "text": "".join(lines)})
        else:
            for line in lines:
                typer.echo(line, nl=False)


def _write(output: Path, lines: Iterable[str]) -> int:
    """All of it or nothing: an export that breaks off must not look whole."""
    count = 0
    part = output.with_name(f".{output.name}.part")
    with part.open("w", encoding="utf-8") as file:
        for line in lines:
            count += 1
            file.write(line)
    part.replace(output)
    return count


def _account(finora: "Finora", scope: "Scope", wanted: str) -> Any:
    from finora_core.ledger.model import AccountNotFound

    for account in finora.ledger.accounts(scope):
        if wanted in (account.name, str(account.id)):
            return account.id
    raise AccountNotFound(f"no account {wanted!r}")


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


def _print(
    columns: tuple[str, ...], rows: list[tuple[Any, ...]], right: frozenset[int] | set[int]
) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, header_style="dim")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index in right else "left")
    for row in rows:
        table.add_row(*[escape(str(cell)) for cell in row])
    screen().print(table)


def _print_wallet(shown: dict[str, Any]) -> None:
    def money(amount: dict[str, str]) -> str:
        return f"{Decimal(amount['amount']):,f} {amount['asset']}"

    if "days" in shown or "months" in shown:
        rows = [
            (day["day"], money(flow["income"]), money(flow["expense"]))
            for day in shown.get("days", ())
            for flow in day["flows"]
        ]
        if rows:
            _print(("day", "income", "spending"), rows, right={1, 2})
        worth = [
            (each["day"], money(amount))
            for each in shown.get("months", ())
            for amount in each["amounts"]
        ]
        if worth:
            _print(("end of", "net worth"), worth, right={1})
        return
    summary = shown["summary"]
    typer.echo(f"{summary['since']} to {summary['until']}")
    flows = [("income", money(flow["income"])) for flow in summary["flows"]]
    flows += [("spending", money(flow["expense"])) for flow in summary["flows"]]
    flows += [(f"  {top['category'] or 'no category'}", money(top["spent"]))
              for top in summary["top_categories"]]  # fmt: skip
    held = [("balance", money(amount)) for amount in summary["balances"]]
    _print(("", "amount"), held + flows, right={1})
