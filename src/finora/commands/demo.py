"""`finora demo`: statements in, twice and in another order, and the picture that comes out."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from finora.face import Finora
from finora_core.insights.wallet.model import MonthFlows, Worth
from finora_core.jobs.model import Job
from finora_core.kernel.amount import Amount, text_of
from finora_core.kernel.ids import new_id
from finora_core.kernel.scope import Scope
from finora_core.ledger.model import BalanceSheet, Line, TrialBalance
from finora_core.records.model import ImportRequest

HOUSEHOLD = Path(__file__).parent.parent / "demo"
# What the files do not say, or say as a number.
_NAMES = {"giro": "Giro", "card": "Card", "savings": "Savings", "london": "London"}
_BAR = 22
_EIGHTHS = " ▏▎▍▌▋▊▉█"

Result = Mapping[str, object] | Job


def household() -> list[Path]:
    """The statements of one household that come with Finora, in the order of their names."""
    return sorted(path for path in HOUSEHOLD.iterdir() if path.suffix not in (".py", ""))


def demo(finora: Finora, paths: Sequence[Path], console: Console) -> int:
    """Import `paths` (the household's, if there are none) into a tenant of their own, twice, and
    print what a person wants to see; the number of files that were refused."""
    scope = finora.scope(tenant=f"demo:{new_id()}", user="demo")
    files = list(paths) or household()
    requests = {path: ImportRequest(account=_name(path)) for path in files}
    first = {path: _import(finora, scope, path, requests) for path in files}
    _show_files("Statements in", first, console)
    taken = [path for path in reversed(files) if not isinstance(first[path], Job)]
    again = {path: _import(finora, scope, path, requests) for path in taken}
    _show_files("The same again, in the other order", again, console)
    added = sum(_count(result, "added") for result in again.values())
    console.print(
        f"  The second pass added [bold]{added}[/] lines: every line was there already.\n"
        if not added
        else f"  [red]The second pass added {added} lines.[/]\n"
    )
    trial = finora.ledger.trial_balance(scope)
    _show_sheet(BalanceSheet.of(trial), console)
    _show_months(finora, scope, console)
    _show_trial(trial, console)
    return len(files) - len(taken)


def _name(path: Path) -> str | None:
    return _NAMES.get(path.name.split("-")[0].split(".")[0]) if path.parent == HOUSEHOLD else None


def _import(
    finora: Finora, scope: Scope, path: Path, requests: dict[Path, ImportRequest]
) -> Result:
    result = finora.import_file(scope, path, requests[path])
    if isinstance(result, Job) and result.reason == "ACCOUNT_NEEDED":
        requests[path] = ImportRequest(account=path.stem)
        result = finora.import_file(scope, path, requests[path])
    return result


def _show_files(title: str, results: Mapping[Path, Result], console: Console) -> None:
    table = _table(title, "file", "format")
    for name in ("read", "added", "existing", "claimed", "set aside"):
        table.add_column(name, justify="right")
    for path, result in results.items():
        if isinstance(result, Job):
            table.add_row(escape(path.name), "[red]refused[/]", *[""] * 5)
            continue
        counts = [_count(result, name) for name in ("read", "added", "existing", "claimed")]
        shown = [str(count) if count else "[dim]·[/]" for count in counts]
        aside = _count(result, "set_aside_count")
        table.add_row(
            path.name, str(result["format"]), *shown, str(aside) if aside else "[dim]·[/]"
        )
    console.print(table)
    for path, result in results.items():
        if isinstance(result, Job):
            told = escape(f"{path.name}: {result.reason}: {result.message}")
            console.print(f"  [red]{told}[/]", highlight=False)
    console.print()


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
            table.add_row(f"  {escape(line.account.name)}", _money(line.amount, sign))
        for amount in _sums(lines):
            table.add_row(f"  [dim]total {amount.asset}[/]", f"[dim]{_money(amount, sign)}[/]")
    console.print(table)
    worth = ", ".join(_money(amount, 1) for amount in sheet.net_worth) or "nothing"
    console.print(f"  Net worth: [bold]{worth}[/]\n", highlight=False)


def _show_months(finora: Finora, scope: Scope, console: Console) -> None:
    newest = finora.records.list(scope, limit=1).items
    if not newest:
        return
    today = newest[0].on_date
    months = finora.wallet.cashflow_by_month(scope, _year_before(today), today)
    busy = [month for month in months if month.flows]
    worth = finora.wallet.networth(scope, 12, today=today)
    for asset in sorted({flow.income.asset.id for month in busy for flow in month.flows}):
        _show_flow(asset, busy, worth, console)


def _show_flow(
    asset: str, months: Sequence[MonthFlows], worth: Sequence[Worth], console: Console
) -> None:
    table = _table(f"Cash flow in {asset}, by month", "month")
    table.add_column("income", justify="right")
    table.add_column("", width=_BAR // 2 + 1)
    table.add_column("spending", justify="right")
    table.add_column("", width=_BAR // 2 + 1)
    table.add_column("net worth", justify="right")
    held = {each.day.replace(day=1): _of(asset, each.amounts) for each in worth}
    rows = [(month.month, flow) for month in months for flow in month.flows
            if flow.income.asset.id == asset]  # fmt: skip
    largest = max(max(flow.income.units, -flow.expense.units) for _, flow in rows)
    for month, flow in rows:
        table.add_row(
            f"{month:%b %Y}",
            _number(flow.income),
            f"[green]{_bar(flow.income.units, largest)}[/]",
            _number(flow.expense),
            f"[red]{_bar(-flow.expense.units, largest)}[/]",
            held.get(month, ""),
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
        table.add_row(escape(line.account.name), str(line.account.kind), debit, credit)
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
    eighths = units * (_BAR // 2) * 8 // largest if largest else 0
    if units and not eighths:
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


def _count(result: Result, name: str) -> int:
    assert not isinstance(result, Job)
    return int(str(result[name]))


def _year_before(day: date) -> date:
    return date(day.year - 1, day.month, 1)
