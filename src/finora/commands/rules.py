"""`finora rules`: listing, importing, previewing, running and undoing rules."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from finora.commands.books import Day, table
from finora.commands.common import AsJson, Data, books, opened, put, refusals, say, tell

if TYPE_CHECKING:
    from finora import Job
    from finora_core.categories.rules.model import Rule, RuleRun

rules = typer.Typer(help="Rules: what becomes of records by itself.", no_args_is_help=True)


@rules.command("list")
def list_(data: Data = None, as_json: AsJson = False) -> None:
    """List the rules in the order in which they are asked.

    Example: finora rules list
    """
    with refusals(as_json), books(data) as (finora, scope):
        found = finora.rules.list(scope, limit=1000).items
    if as_json:
        put({"rules": [_shown(rule) for rule in found]})
        return
    rows = [(rule.name, "" if rule.active else "off", str(rule.hits), str(rule.overridden))
            for rule in found]  # fmt: skip
    table(("rule", "", "hits", "overridden"), rows, right={2, 3})


@rules.command("import")
def import_(
    program: Annotated[str, typer.Argument(help="firefly or actual.")],
    file: Annotated[Path, typer.Argument(help="The export.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Take over the rules of Firefly III or Actual.

    What has no counterpart is named.

    Example: finora rules import firefly rules.csv
    """
    from finora_core.categories.rules.importers import read_rules
    from finora_core.kernel.plain import to_plain

    with refusals(as_json), books(data) as (finora, scope), opened(file, as_json) as content:
        taken = finora.rules.take(scope, read_rules(program, content.read()))
    if as_json:
        put({"rules": [_shown(rule) for rule in taken.rules], "left": to_plain(taken.left)})
        return
    say(f"{len(taken.rules)} rules")
    for left in taken.left:
        whole = "; the rule was left out" if left.whole else ""
        say(f"{left.rule}: {left.what} {left.reason}{whole}")


@rules.command("preview")
def preview(
    last: Annotated[int | None, typer.Option(help="Only the latest so many records.")] = None,
    since: Day = None,
    until: Day = None,
    limit: Annotated[int, typer.Option(help="How many differences to show.")] = 20,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show what the rules would change, and change nothing.

    Example: finora rules preview --last 1000
    """
    from finora_core.categories.rules.model import RunFilter
    from finora_core.kernel.plain import to_plain

    with refusals(as_json), books(data) as (finora, scope):
        wanted = RunFilter(
            since=since.date() if since else None, until=until.date() if until else None
        )
        seen = finora.rules.preview(scope, wanted, last=last, limit=limit)
    if as_json:
        put(to_plain(seen))
        return
    rows = [
        (str(item.on_date), item.description, change.field, _said(change.before),
         "locked" if change.locked else _said(change.after))
        for item in seen.items for change in item.changes
    ]  # fmt: skip
    table(("date", "description", "field", "before", "after"), rows, right=set())
    say(f"{seen.matched} of {seen.examined} match, {seen.changed} would change")


@rules.command("run")
def run(since: Day = None, until: Day = None, data: Data = None, as_json: AsJson = False) -> None:
    """Let the rules go over the records that are there.

    Example: finora rules run --since 2026-01-01
    """
    from finora_core.categories.rules.model import RunFilter

    with refusals(as_json), books(data) as (finora, scope):
        wanted = RunFilter(
            since=since.date() if since else None, until=until.date() if until else None
        )
        _tell(finora.run_rules(scope, wanted), as_json)


@rules.command("undo")
def undo(
    run_id: Annotated[UUID, typer.Argument(help="Id of the run.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Undo a run, except where a person has changed a record since.

    Example: finora rules undo 01a1feba-294c-7562-91b4-ee5d5e86de8a
    """
    with refusals(as_json), books(data) as (finora, scope):
        _tell(finora.undo_rules(scope, run_id), as_json)


def _tell(ended: "RuleRun | Job", as_json: bool) -> None:
    from finora import Job
    from finora_core.kernel.plain import to_plain

    if isinstance(ended, Job):
        tell(ended.reason or "JOB_FAILED", ended.message or str(ended.state), (), as_json)
    if as_json:
        put(to_plain(ended))
    elif ended.state == "undone":
        say(f"run {ended.id}: {ended.restored} fields restored, {ended.kept} changed since")
    else:
        say(f"run {ended.id}: {ended.matched} of {ended.examined} records match, "
            f"{ended.changed} fields changed, {ended.locked} locked")  # fmt: skip


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(" ".join(each) if isinstance(each, list) else str(each) for each in value)
    return str(value)


def _shown(rule: "Rule") -> dict[str, Any]:
    return {
        "id": str(rule.id),
        "name": rule.name,
        "priority": rule.priority,
        "active": rule.active,
        "hits": rule.hits,
        "overridden": rule.overridden,
    }
