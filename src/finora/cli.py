"""The `finora` command."""

import io
import os
import sys
from typing import Annotated

import typer

from finora.commands import (
    admin,
    audit,
    backup,
    books,
    data_provider,
    explain,
    holdings,
    keys,
    mail,
    new_provider,
    picture,
    plans,
    prices,
    reports,
    review,
    rules,
    serving,
    statements,
    upkeep,
)

app = typer.Typer(
    name="finora",
    no_args_is_help=True,
    add_completion=False,
    # Plain: twice as fast, and a traceback shows no values.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="The money back end: statements in, double-entry books out.",
)
app.command("demo")(upkeep.demo)
app.command("import")(statements.import_)
app.command("accounts")(books.accounts)
app.command("records")(books.records)
app.command("review")(review.review)
app.command("wallet")(books.wallet)
app.command("holdings")(holdings.holdings)
app.command("holding")(holdings.holding)
app.command("allocation")(holdings.allocation)
app.command("explain")(explain.explain)
app.command("export")(books.export)
app.command("report")(reports.report)
app.command("close")(reports.close)
app.command("reopen")(reports.reopen)
app.command("picture")(picture.picture)
app.command("migrate")(upkeep.migrate)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("doctor")(upkeep.doctor)
app.command("plugins")(upkeep.plugins)
app.command("new-provider")(new_provider.new_provider)
app.command("up")(serving.up)
app.command("serve")(serving.serve)
app.command("worker")(serving.worker)
app.add_typer(plans.budget, name="budget")
app.add_typer(plans.goals, name="goals")
app.add_typer(holdings.activity, name="activity")
app.add_typer(data_provider.provider, name="data-provider")
app.add_typer(serving.token, name="token")
app.add_typer(serving.queue, name="queue")
app.add_typer(admin.admin, name="admin")
app.add_typer(reports.rates, name="rates")
app.add_typer(prices.prices, name="prices")
app.add_typer(prices.assets, name="assets")
app.add_typer(keys.keys, name="keys")
app.add_typer(mail.mail, name="mail")
app.add_typer(audit.audit, name="audit")
app.add_typer(rules.rules, name="rules")


def _say_version(wanted: bool) -> None:
    if wanted:
        from finora import __version__

        typer.echo(f"finora {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="The version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; whoever reads our output may stop when they have enough."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Files are UTF-8 whatever the locale; half a character of a file name is no reason to
            # fail, and JSON reads the escape.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        app()
    except BrokenPipeError:
        # Nothing more can be written, not even what is still in the buffer.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        # A full disk, a folder that is not ours: nothing that a traceback would explain better.
        sys.exit(f"finora: {error}")
