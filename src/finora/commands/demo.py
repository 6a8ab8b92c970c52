"""`finora demo`: statements in, twice and in another order, and the picture that comes out."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import attrs
from rich import box
from rich.console import Console
from rich.table import Table

from finora.commands.common import cell, clean
from finora.commands.statements import Imported, outcome
from finora.face import Finora
from finora_core.insights.wallet.model import Flows
from finora_core.insights.wallet.service import MAX_MONTHS
from finora_core.jobs.model import Job
from finora_core.kernel.amount import Amount, text_of
from finora_core.kernel.errors import Refusal
from finora_core.kernel.ids import new_id
from finora_core.kernel.plain import to_plain
from finora_core.kernel.scope import Scope
from finora_core.ledger.model import BalanceSheet, Line, TrialBalance
from finora_core.records.model import ImportRequest

HOUSEHOLD = Path(__file__).parent.parent / "demo"
# What the files do not say, or say as a number.
_NAMES = {"giro": "Giro", "card": "Card", "savings": "Savings", "london": "London"}
_BAR = 22
_MONTHS = 12
_LONG_AGO = date(1900, 1, 1)
_EIGHTHS = " ▏▎▍▌▋▊▉█"

Shown = Mapping[str, Any]
"""What became of one file, as `finora import --json` has it."""


def household() -> list[Path]:
    """The statements of one household that come with Finora, in the order of their names."""
    return sorted(path for path in HOUSEHOLD.iterdir() if path.suffix not in (".py", ""))


def demo(
    finora: Finora, paths: Sequence[Path], console: Console, currency: str | None = None
) -> dict[str, Any]:
    """Import `paths` (the household's, if there are none) into a tenant of their own, twice, and
    print what a person wants to see; the same as plain values."""
    scope = finora.scope(tenant=f"demo:{new_id()}", user="demo")
    files = list(paths) or household()
    first = [_import(finora, scope, path, currency) for path in files]
    _show_files("Statements in", first, console)
    console.print(
        "  [dim]existing: an overlapping download had it already\n"
        "  claimed: another format, or a pending line, had brought it before[/]\n"
    )
    taken = [path for path, shown in zip(files, first, strict=True) if not shown["refused"]]
    second = [_import(finora, scope, path, currency) for path in reversed(taken)]
    _show_files("The same again, in the other order", second, console)
    added = sum(shown["added"] for shown in second)
    console.print(
        f"  The second pass added [bold]{added}[/] lines: every line was there already.\n"
        if not added
        else f"  [red]The second pass added {added} lines.[/]\n"
    )
    trial = finora.ledger.trial_balance(scope)
    sheet = BalanceSheet.of(trial)
    _show_sheet(sheet, console)
    _show_months(finora, scope, console)
    _show_trial(trial, console)
    return {
        "first": first,
        "second": second,
        "refused": len(files) - len(taken),
        "net_worth": to_plain(sheet.net_worth),
        "trial_balance": [
            {"account": line.account.name, "kind": line.account.kind.value}
            | {"amount": line.amount.text, "asset": line.amount.asset.id}
            for line in trial.lines
        ],
        "sums": to_plain([total for _, total in sorted(trial.sums.items())]),
    }


def _name(path: Path) -> str | None:
    return _NAMES.get(path.name.split("-")[0].split(".")[0]) if path.parent == HOUSEHOLD else None


def _import(finora: Finora, scope: Scope, path: Path, currency: str | None) -> Shown:
    return outcome(path, lambda: _bring(finora, scope, path, currency))


def _bring(finora: Finora, scope: Scope, path: Path, currency: str | None) -> Imported:
    """A file that names no account is of one that is called like the file, also where an earlier
    file of the same layout has left a profile."""
    plain = ImportRequest(account=_name(path), currency=currency)
    named = attrs.evolve(plain, account=clean(path.stem)[:200].strip() or "file")
    by_profile = plain.account is None and _is_by_profile(finora, scope, path, plain)
    result = finora.import_file(scope, path, named if by_profile else plain)
    if isinstance(result, Job) and result.reason == "ACCOUNT_NEEDED":
        return finora.import_file(scope, path, named)
    return result


def _is_by_profile(finora: Finora, scope: Scope, path: Path, request: ImportRequest) -> bool:
    with path.open("rb") as file, suppress(Refusal):
        seen = finora.imports.preview(scope, file, path.name, request, lines=0)
        return any(account.number is None for account in seen.accounts)
    return False


def _show_files(title: str, files: Sequence[Shown], console: Console) -> None:
    table = _table(title)
    table.add_column("file", overflow="ellipsis", no_wrap=True)
    table.add_column("format")
    for name in ("read", "added", "existing", "claimed", "set aside"):
        table.add_column(name, justify="right", no_wrap=True)
    for shown in files:
        name = cell(Path(shown["file"]).name)
        if shown["refused"]:
            table.add_row(name, "[red]refused[/]", *[""] * 5)
        else:
            counts = [shown[key] for key in _COUNTS]
            table.add_row(
                name, cell(shown["format"]), *(str(n) if n else "[dim]·[/]" for n in counts)
            )
    console.print(table)
    for shown in files:
        _show_trouble(shown, console)
    console.print()


_COUNTS = ("read", "added", "existing", "claimed", "set_aside_count")
_MOST_LINES = 3


def _show_trouble(shown: Shown, console: Console) -> None:
    """Why a file was refused, and the first lines that were set aside."""
    name, refused = Path(shown["file"]).name, shown["refused"]
    if refused:
        console.print(
            f"  [red]{cell(name)}: {cell(refused['code'])}: {cell(refused['message'])}[/]"
        )
    for line in shown["set_aside"][:_MOST_LINES]:
        console.print(f"  [dim]{cell(name)}: line {line['line']}: {cell(line['reason'])}[/]")
    more = shown["set_aside_count"] - _MOST_LINES
    if more > 0:
        console.print(f"  [dim]{cell(name)}: and {more} lines more[/]")


def _show_sheet(sheet: BalanceSheet, console: Console) -> None:
    table = _table("Balance sheet", "account")
    table.add_column("balance", justify="right")
    for title, lines, sign in (
        ("Assets", sheet.assets, 1),
        ("Liabilities", sheet.liabilities, -1),
        ("Equity", sheet.equity, -1),
    ):
        if not lines:
            continue
        table.add_row(f"[bold]{title}[/]", "")
        for line in lines:
            table.add_row(f"  {cell(line.account.name)}", _money(line.amount, sign))
        for amount in _sums(lines):
            table.add_row(f"  [dim]total {amount.asset}[/]", f"[dim]{_money(amount, sign)}[/]")
    console.print(table)
    worth = ", ".join(_money(amount, 1) for amount in sheet.net_worth) or "nothing"
    console.print(f"  Net worth: [bold]{worth}[/]\n", highlight=False)


def _show_months(finora: Finora, scope: Scope, console: Console) -> None:
    """For each asset the last months in which it moved."""
    newest = finora.records.list(scope, limit=1).items
    if not newest:
        return
    today = newest[0].on_date
    busy: dict[str, dict[date, Flows]] = defaultdict(dict)
    for month in finora.wallet.cashflow_by_month(scope, _LONG_AGO, today):
        for flow in month.flows:
            busy[flow.income.asset.id][month.month] = flow
    shown = {asset: dict(list(months.items())[-_MONTHS:]) for asset, months in sorted(busy.items())}
    first = min((month for months in shown.values() for month in months), default=today)
    back = min((today.year - first.year) * 12 + today.month - first.month + 1, MAX_MONTHS)
    worth = {each.day.replace(day=1): each.amounts
             for each in finora.wallet.networth(scope, back, today=today)}  # fmt: skip
    for asset, months in shown.items():
        held = {month: _of(asset, worth.get(month, ())) for month in months}
        _show_flow(asset, months, held, console)


def _show_flow(
    asset: str, months: Mapping[date, Flows], held: Mapping[date, str], console: Console
) -> None:
    table = _table(f"Cash flow in {asset}, by month", "month")
    table.add_column("income", justify="right")
    table.add_column("", width=_BAR // 2 + 1)
    table.add_column("spending", justify="right")
    table.add_column("", width=_BAR // 2 + 1)
    table.add_column("net worth", justify="right")
    largest = max(max(flow.income.units, -flow.expense.units) for flow in months.values())
    for month, flow in months.items():
        table.add_row(
            f"{month:%b %Y}",
            _number(flow.income),
            f"[green]{_bar(flow.income.units, largest)}[/]",
            _number(flow.expense),
            f"[red]{_bar(-flow.expense.units, largest)}[/]",
            held[month],
        )
    console.print(table)
    console.print()


def _show_trial(trial: TrialBalance, console: Console) -> None:
    table = _table("Trial balance", "account", "kind")
    table.add_column("debit", justify="right")
    table.add_column("credit", justify="right")
    for line in trial.lines:
        debit, credit = (_money(line.amount, 1), "") if line.amount.units > 0 else (
            "", _money(line.amount, -1))  # fmt: skip
        table.add_row(cell(line.account.name), str(line.account.kind), debit, credit)
    console.print(table)
    for asset, total in sorted(trial.sums.items()):
        mark = "[red]does not sum to zero[/]" if total else "[green]sums to zero[/]"
        console.print(f"  {asset}: {_number(total)}  {mark}", highlight=False)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
                  pad_edge=True, header_style="dim")  # fmt: skip
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _bar(units: int, largest: int) -> str:
    """A bar of eighths of a character: `largest` fills half of the chart."""
    eighths = max(units, 0) * (_BAR // 2) * 8 // largest if largest else 0
    if units > 0 and not eighths:
        eighths = 1
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _sums(lines: Iterable[Line]) -> list[Amount]:
    sums: dict[str, list[Amount]] = defaultdict(list)
    for line in lines:
        sums[line.amount.asset.id].append(line.amount)
    return [sum(amounts[1:], start=amounts[0]) for _, amounts in sorted(sums.items())]


def _of(asset: str, amounts: Iterable[Amount]) -> str:
    return next((_number(amount) for amount in amounts if amount.asset.id == asset), "")


def _number(amount: Amount) -> str:
    """With commas between thousands: for people, never for programs."""
    sign = "-" if amount.units < 0 else ""
    whole, dot, fraction = text_of(abs(amount.units), amount.asset.scale).partition(".")
    return f"{sign}{int(whole):,}{dot}{fraction}"


def _money(amount: Amount, sign: int) -> str:
    return f"{_number(amount if sign == 1 else -amount)} {amount.asset}"
