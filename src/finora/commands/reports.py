"""`finora report`, `close`, `reopen`, `rates`: reports, closed periods, FX rates."""

import re
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finora.commands.books import Day, account_named, table
from finora.commands.common import AsJson, Data, books, opened, put, refusals, say, tell

if TYPE_CHECKING:
    from finora_core.ledger.closing.model import Closing

rates = typer.Typer(no_args_is_help=True, help="FX rates: facts to convert with.")


_FORMATS = ("csv", "xlsx", "pdf", "json")


def report(
    kind: Annotated[
        str,
        typer.Argument(
            help="profit_and_loss, balance_sheet, cash_flow, records, statement or books."
        ),
    ],
    since: Day = None,
    until: Day = None,
    account: Annotated[
        str | None, typer.Option(help="Its name or id: of a statement, or of records.")
    ] = None,
    closing: Annotated[int | None, typer.Option(help="As it was known at this closing.")] = None,
    format_: Annotated[str, typer.Option("--format", help="csv, xlsx, pdf or json.")] = "json",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file; else standard output.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a report, as a file or as JSON.

    \b
    Example: finora report profit_and_loss --since 2026-01-01 --until 2026-12-31 -o 2026.xlsx
    """
    from finora_core.insights.reports.model import Asked, Format, Kind

    if output is not None and output.suffix[1:] in _FORMATS and format_ == "json":
        format_ = output.suffix[1:]
    with refusals(as_json), books(data) as (finora, scope):
        asked = Asked(
            kind=_one_of(Kind, kind, as_json),
            format=_one_of(Format, format_, as_json),
            since=since.date() if since else None,
            until=until.date() if until else None,
            account_id=account_named(finora, scope, account).id if account else None,
            closing=closing,
        )
        if output is None:
            if asked.format is not Format.JSON and sys.stdout.isatty():
                raise typer.BadParameter("a terminal shows no files: say --output FILE")
            finora.reports.write(scope, asked, typer.get_binary_stream("stdout"))
            return
        part = output.with_name(f".{output.name}.part")
        try:
            # All of it or nothing: a report that breaks off must not look whole.
            with part.open("wb") as file:
                finora.reports.write(scope, asked, file)
            part.replace(output)
        except OSError as error:
            tell("FILE_UNWRITABLE", f"{output}: {error.strerror}", (), as_json)
        finally:
            part.unlink(missing_ok=True)
        size = output.stat().st_size
    if as_json:
        put({"kind": kind, "format": format_, "output": str(output), "bytes": size})
    else:
        say(f"{output}: {size} bytes")


def close(
    through: Annotated[
        str | None, typer.Argument(help="The last day to close, or its month: 2026-01.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Close the books through a day; without one, list what was closed.

    \b
    Example: finora close 2026-01
    """
    with refusals(as_json), books(data) as (finora, scope):
        if through is not None:
            made = finora.closings.close(scope, _last_day(through, as_json))
            _closed([made], as_json)
        else:
            _closed(finora.closings.list(scope), as_json)


def reopen(
    reason: Annotated[str, typer.Option(help="Why; it is kept.")],
    through: Day = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Open closed books again: what lies after --through, or all.

    \b
    Example: finora reopen --through 2025-12-31 --reason "the bank corrected a fee"
    """
    with refusals(as_json), books(data) as (finora, scope):
        day = through.date() if through else None
        _closed([finora.closings.reopen(scope, day, reason)], as_json)


@rates.command("import")
def import_rates(file: Path, data: Data = None, as_json: AsJson = False) -> None:
    """Take in the European Central Bank's CSV file of reference rates.

    \b
    Example: finora rates import eurofxref-hist.csv
    """
    from finora_core.kernel.plain import to_plain

    with refusals(as_json), books(data) as (finora, scope), opened(file, as_json) as content:
        result = finora.rates.import_ecb(scope, content)
    if as_json:
        put(to_plain(result))
    else:
        say(f"{result.added} added, {result.corrected} corrected, {result.existing} there before")


def _closed(found: Any, as_json: bool) -> None:
    from finora_core.kernel.plain import to_plain

    if as_json:
        put({"closings": [to_plain(each) for each in found]})
        return
    rows = [_row(each) for each in found]
    table(("number", "closed through", "when", "why"), rows, right={0})


def _row(closing: "Closing") -> tuple[Any, ...]:
    through = str(closing.through) if closing.through else "nothing"
    return str(closing.number), through, f"{closing.recorded_at:%Y-%m-%d %H:%M}", closing.reason


def _one_of(kinds: Any, wanted: str, as_json: bool) -> Any:
    found = {each.value: each for each in kinds}
    if wanted.replace("-", "_") not in found:
        tell("BAD_REPORT", f"{wanted!r} is none of {', '.join(found)}", (), as_json)
    return found[wanted.replace("-", "_")]


def _last_day(text: str, as_json: bool) -> date:
    from finora_core.insights.model import last_day

    try:
        if re.fullmatch(r"\d{4}-\d\d", text):
            return last_day(date.fromisoformat(f"{text}-01"))
        return date.fromisoformat(text)
    except ValueError:
        tell("BAD_CLOSING", f"{text!r} is neither a day nor a month", (), as_json)
