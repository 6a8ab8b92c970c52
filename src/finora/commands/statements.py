"""`finora import`: statements in, with progress, questions and answers."""

import shlex
import sys
import time
from collections.abc import Callable, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer

from finora import Job, Refusal
from finora.commands.common import AsJson, Data, books, cell, put, refusals, say, screen

if TYPE_CHECKING:
    from finora import Finora, ImportRequest, Scope

Imported = Mapping[str, Any] | Job


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

    \b
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


def outcome(path: Path, bring: Callable[[], Imported]) -> dict[str, Any]:
    """What became of a file, in the shape of docs/cli.md. A refusal is part of the answer, so that
    the other files go on."""
    if trouble := _unreadable(path):
        return _empty(path, "FILE_UNREADABLE", trouble, [], {})
    try:
        result = bring()
    except Refusal as refusal:
        return _empty(path, refusal.code, refusal.message, list(refusal.details), refusal.facts)
    return _refused(path, result) if isinstance(result, Job) else _taken(path, result)


def _unreadable(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return None if file.seekable() else "a pipe is read once only; save it to a file"
    except OSError as error:
        return error.strerror or str(error)


def _one(
    finora: "Finora", scope: "Scope", path: Path, request: "ImportRequest", as_json: bool
) -> dict[str, Any]:
    shown = outcome(path, lambda: _asking(finora, scope, path, request, as_json))
    if not as_json:
        _tell(shown)
    return shown


def _asking(
    finora: "Finora", scope: "Scope", path: Path, request: "ImportRequest", as_json: bool
) -> Imported:
    """A file may leave several things open; each is asked for once."""
    result = _with_progress(finora, scope, path, request, quiet=as_json)
    while isinstance(result, Job) and _may_ask(result, request, as_json):
        answers = {**request.answers, **_ask(result)}
        request = attrs.evolve(request, answers=answers)
        result = _with_progress(finora, scope, path, request, quiet=as_json)
    return result


def _with_progress(
    finora: "Finora", scope: "Scope", path: Path, request: "ImportRequest", *, quiet: bool
) -> Imported:
    if quiet or not sys.stderr.isatty():
        return finora.import_file(scope, path, request)
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=screen(err=True), transient=True) as progress:
        task = progress.add_task(cell(path.name), total=None)
        start = time.monotonic()

        def told(job: Job) -> None:
            rate = job.done_parts / max(time.monotonic() - start, 0.001)
            lines = f"{job.done_parts:,} lines, {rate:,.0f} a second" if job.done_parts else ""
            progress.update(task, description=f"{cell(path.name)}  {lines}")

        return finora.import_file(scope, path, request, on_progress=told)


def _may_ask(job: Job, request: "ImportRequest", as_json: bool) -> bool:
    readings = _facts(job).get("readings") or [{"answers": {}}]
    fresh = readings[0]["answers"].keys() - request.answers.keys()
    return bool(fresh) and not as_json and sys.stdin.isatty()


def _facts(job: Job) -> dict[str, Any]:
    facts = (job.result or {}).get("facts")
    return facts if isinstance(facts, dict) else {}


def _ask(job: Job) -> dict[str, str]:
    """Show the readings side by side and let the person choose."""
    readings = _facts(job)["readings"]
    say(job.message or "", err=True)
    _show_readings(readings)
    while True:
        chosen = typer.prompt(f"Which reading is right, 1 to {len(readings)}", type=int, err=True)
        if 1 <= chosen <= len(readings):
            return dict(readings[chosen - 1]["answers"])


def _show_readings(readings: list[dict[str, Any]]) -> None:
    """Side by side, on standard error, each under the option that chooses it."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, header_style="bold")
    for number, reading in enumerate(readings, start=1):
        answers = (shlex.quote(f"{key}={value}") for key, value in reading["answers"].items())
        said = " ".join(f"--answer {each}" for each in answers)
        table.add_column(cell(f"{number}: {said}"), overflow="fold")
    for lines in zip_longest(*(reading["sample"] for reading in readings)):
        table.add_row(*(cell("  ".join(line.values()) if line else "") for line in lines))
    screen(err=True).print(table)


def _taken(path: Path, result: Mapping[str, Any]) -> dict[str, Any]:
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


def _refused(path: Path, job: Job) -> dict[str, Any]:
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


_HINTS = {
    "ACCOUNT_NEEDED": "say --account NAME; it is remembered for this layout",
    "CONTROL_SUM": "--accept-difference imports it all the same",
    "CURRENCY_NEEDED": "say --currency EUR, or which it is",
    "STATEMENT_AMBIGUOUS": "the readings, and what chooses each:",
    "UNKNOWN_FORMAT": "--format csv reads it as CSV",
}


def _tell(shown: dict[str, Any]) -> None:
    refused = shown["refused"]
    if refused:
        say(f"{shown['file']}: {refused['code']}: {refused['message']}", err=True)
        if hint := _HINTS.get(refused["code"]):
            say(f"  {hint}", err=True)
        if refused["facts"].get("readings"):
            _show_readings(refused["facts"]["readings"])
        return
    names = ", ".join(account["name"] for account in shown["accounts"])
    counts = ", ".join(f"{shown[name]} {name}" for name in ("added", "existing", "claimed"))
    say(f"{shown['file']}: {shown['format']}, {names}: {shown['read']} read, {counts}")
    for each in shown["set_aside"][:20]:
        say(f"  line {each['line']} set aside: {each['reason']}")
    if shown["set_aside_count"] > 20:
        say(f"  and {shown['set_aside_count'] - 20} more")
    for each in shown["differences"]:
        stated, booked = each["stated"], each["booked"]
        say(
            f"  {each['account']} on {each['on_date']}: the bank states {stated['amount']} "
            f"{stated['asset']}, the books have {booked['amount']}"
        )
