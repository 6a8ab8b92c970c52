"""`finora import`: statements in, with progress, questions and answers."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer

from finora.commands.common import AsJson, Data, books, put, refusals, screen

if TYPE_CHECKING:
    from finora import Finora, ImportRequest, Job, Scope


def import_(
    files: Annotated[list[Path], typer.Argument(help="Statement files.")],
    account: Annotated[
        str | None, typer.Option(help="Account of files that name none; opened if it is new.")
    ] = None,
    currency: Annotated[str | None, typer.Option(help="Currency of files that name none.")] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="Do not guess: csv, ofx, camt, mt940, qif.")
    ] = None,
    answer: Annotated[
        list[str] | None,
        typer.Option(help="KEY=VALUE for what a file leaves open: date_order=dmy, decimal=,"),
    ] = None,
    accept_difference: Annotated[
        bool, typer.Option(help="Import although the control sum is wrong; kept with your name.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Import bank statements: OFX, QFX, CAMT, MT940, QIF, CSV.

    Again, or overlapping, as often as you like: what is there stays there once.
    Example: finora import january.ofx february.csv --account Giro --currency EUR
    """
    from finora import ImportRequest

    request = ImportRequest(
        account=account,
        currency=currency,
        format=format_,
        answers=_answers(answer or []),
        accept_difference=accept_difference,
    )
    with refusals(as_json), books(data) as (finora, scope):
        results = [_one(finora, scope, path, request, as_json) for path in files]
    if as_json:
        put({"files": results})
    if any(result["refused"] for result in results):
        raise typer.Exit(1)


def _answers(given: list[str]) -> dict[str, str]:
    answers = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals:
            raise typer.BadParameter(f"--answer takes KEY=VALUE, not {each!r}")
        answers[key] = value
    return answers


def _one(
    finora: "Finora", scope: "Scope", path: Path, request: "ImportRequest", as_json: bool
) -> dict[str, Any]:
    """Import one file; a refusal is part of the answer, so that the other files go on."""
    from finora import Job, Refusal

    try:
        result = _with_progress(finora, scope, path, request, quiet=as_json)
        if isinstance(result, Job) and _may_ask(result, as_json):
            asked = _ask(result)
            answers = {**request.answers, **asked}
            result = _with_progress(
                finora, scope, path, attrs.evolve(request, answers=answers), quiet=as_json
            )
        shown = _refused(path, result) if isinstance(result, Job) else _taken(path, result)
    except Refusal as refusal:
        shown = _empty(path, refusal.code, refusal.message, list(refusal.details), refusal.facts)
    except OSError as error:
        shown = _empty(path, "FILE_UNREADABLE", error.strerror or str(error), [], {})
    if not as_json:
        _tell(shown)
    return shown


def _with_progress(
    finora: "Finora", scope: "Scope", path: Path, request: "ImportRequest", *, quiet: bool
) -> Any:
    if quiet or not sys.stderr.isatty():
        return finora.import_file(scope, path, request)
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(path.name, total=None)

        def told(job: "Job") -> None:
            progress.update(task, description=f"{path.name}: {job.done_parts:,} lines")

        return finora.import_file(scope, path, request, on_progress=told)


def _may_ask(job: "Job", as_json: bool) -> bool:
    return job.reason == "STATEMENT_AMBIGUOUS" and not as_json and sys.stdin.isatty()


def _facts(job: "Job") -> dict[str, Any]:
    facts = (job.result or {}).get("facts")
    return facts if isinstance(facts, dict) else {}


def _ask(job: "Job") -> dict[str, str]:
    """Show the readings side by side and let the person choose."""
    readings = _facts(job).get("readings", [])
    _show_readings(readings)
    chosen = typer.prompt("Which reading is right", type=int, default=1)
    if not 1 <= chosen <= len(readings):
        raise typer.BadParameter(f"there are readings 1 to {len(readings)}")
    return dict(readings[chosen - 1]["answers"])


def _show_readings(readings: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, header_style="dim")
    for number, reading in enumerate(readings, start=1):
        said = " ".join(f"--answer {key}={value}" for key, value in reading["answers"].items())
        table.add_column(escape(f"{number}: {said}"), overflow="fold")
    for row in range(max((len(reading["sample"]) for reading in readings), default=0)):
        cells = [reading["sample"][row : row + 1] for reading in readings]
        table.add_row(
            *[
                escape(f"{cell[0]['date']}  {cell[0]['amount']}  {cell[0]['description']}")
                if cell
                else ""
                for cell in cells
            ]
        )
    screen().print(table)


def _taken(path: Path, result: dict[str, Any]) -> dict[str, Any]:
    aside = [{"line": each["place"], "reason": each["reason"]} for each in result["set_aside"]]
    counts = {name: result[name] for name in ("read", "added", "existing", "claimed")}
    return {
        "file": str(path),
        "format": result["format"],
        "accounts": result["accounts"],
        **counts,
        "set_aside_count": result["set_aside_count"],
        "set_aside": aside,
        "differences": result["differences"],
        "accepted_difference": result["accepted_difference"],
        "refused": None,
    }


def _refused(path: Path, job: "Job") -> dict[str, Any]:
    told = job.result or {}
    details = told.get("details")
    listed = details if isinstance(details, list) else []
    return _empty(path, job.reason or "", job.message or "", listed, _facts(job))


def _empty(
    path: Path, code: str, message: str, details: list[Any], facts: dict[str, Any]
) -> dict[str, Any]:
    listed = [{"path": place, "msg": said} for place, said in details]
    return {
        "file": str(path),
        "format": None,
        "accounts": [],
        "read": 0,
        "added": 0,
        "existing": 0,
        "claimed": 0,
        "set_aside_count": 0,
        "set_aside": [],
        "differences": [],
        "accepted_difference": None,
        "refused": {"code": code, "message": message, "details": listed, "facts": facts},
    }


def _tell(shown: dict[str, Any]) -> None:
    refused = shown["refused"]
    if refused:
        typer.echo(f"{shown['file']}: {refused['code']}: {refused['message']}", err=True)
        if refused["facts"].get("readings"):
            _show_readings(refused["facts"]["readings"])
        return
    names = ", ".join(account["name"] for account in shown["accounts"])
    counts = ", ".join(f"{shown[name]} {name}" for name in ("added", "existing", "claimed"))
    typer.echo(f"{shown['file']}: {shown['format']}, {names}: {shown['read']} read, {counts}")
    for each in shown["set_aside"][:20]:
        typer.echo(f"  line {each['line']} set aside: {each['reason']}")
    if shown["set_aside_count"] > 20:
        typer.echo(f"  and {shown['set_aside_count'] - 20} more")
    for each in shown["differences"]:
        stated, booked = each["stated"], each["booked"]
        typer.echo(
            f"  {each['account']} on {each['on_date']}: the bank states {stated['amount']} "
            f"{stated['asset']}, the books have {booked['amount']}"
        )
