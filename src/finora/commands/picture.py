"""`finora picture`: what is written in a screenshot of holdings or of a statement."""

import csv
import io
from pathlib import Path
from typing import Annotated, Any

import typer

from finora.commands.common import AsJson, Data, books, opened, put, refusals, say, tell


def picture(
    file: Annotated[Path, typer.Argument(help="A PNG, JPEG or WebP of at most 5 MB.")],
    source: Annotated[
        str, typer.Option("--source", help="Which reader of pictures is asked.")
    ] = "openai",
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Transactions as a table that `finora import` takes.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Read the rows of a picture, and show them.

    Nothing is kept: look at them first. The picture goes to the service that
    the source names.

    \b
    Example: finora picture screenshot.png --csv > rows.csv
    """
    from finora_core.plugins import Picture

    with refusals(as_json), opened(file, as_json) as content:
        seen = Picture(content.read())
        with books(data) as (finora, scope):
            said = finora.data.ask(scope, source, "picture", seen).told
    if said["outcome"] not in ("ok", "partial", "missing"):
        reason = said["reason"] or said["outcome"]
        tell("PICTURE_NOT_READ", f"{source} does not read it: {reason}", (), as_json)
    rows = said["value"] or []
    if as_json:
        put({"rows": rows, "gap": said["gap"]})
    elif as_csv:
        say(_table([each for each in rows if each["kind"] == "transaction"]))
    else:
        for each in rows:
            say("  ".join(str(value) for value in each.values() if value is not None))
        if not rows:
            say("there is no row in it")
    if said["gap"] and not as_json:
        say(said["gap"], err=True)


def _table(rows: list[dict[str, Any]]) -> str:
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(("Date", "Amount", "Currency", "Description"))
    for each in rows:
        text = each["text"]
        # Whoever opens it in a spreadsheet must not run what a picture says.
        text = f" {text}" if text[:1] in "=+-@" else text
        table.writerow((each["on_date"], each["amount"], each["currency"], text))
    return written.getvalue().rstrip()
