"""`finora keys`: how old they are, and others in their place."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from finora.commands.common import AsJson, Data, books, put, refusals, say, tell

if TYPE_CHECKING:
    from finora import Finora, Job

keys = typer.Typer(invoke_without_command=True)


@keys.callback()
def list_keys(
    context: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="End with 1 where one is older than 90 days.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Keys that seal and sign: how old each is, and others in their place.

    Age in days; 90 are enough. What to do about it: docs/secrets.md.

    \b
    Example: finora keys --check
    """
    if context.invoked_subcommand is not None:
        return
    from finora_core.kernel.plain import to_plain

    with refusals(as_json), books(data) as (finora, _):
        found = finora.keys.ages()
    old = any(each.old for each in found)
    if as_json:
        put({"old": old, "keys": to_plain(found)})
    for each in [] if as_json else found:
        age = "not used yet" if each.days is None else f"{each.days} days"
        say(f"{'OLD ' if each.old else 'ok  '}{each.kind} {each.name}: {age}; {each.said}")
    if check and old:
        raise typer.Exit(1)


@keys.command("rotate")
def rotate(data: Data = None, as_json: AsJson = False) -> None:
    """Sign tokens with a new key; those before it verify for 7 days more.

    Example: finora keys rotate
    """
    with refusals(as_json), books(data) as (finora, _):
        made, lost = finora.keys.rotate()
    if as_json:
        put({"kid": made.kid, "lost": list(lost)})
        return
    say(f"signing key {made.kid}")
    for kid in lost:
        say(f"deleted {kid}: FINORA_SECRET_KEYS has no key that opens it")


@keys.command("rewrap")
def rewrap(data: Data = None, as_json: AsJson = False) -> None:
    """Move every key under the newest of FINORA_SECRET_KEYS.

    Restart all processes with it first. May be broken off and run again.

    Example: finora keys rewrap
    """
    _done(data, as_json, lambda finora, told: finora.rewrap_keys(told))


@keys.command("reseal")
def reseal(
    days: Annotated[
        int, typer.Option("--days", min=0, max=3650, help="Replace those older than so many days.")
    ] = 90,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Replace old data keys, and seal again what was sealed by them.

    Example: finora keys reseal --days 90
    """
    _done(data, as_json, lambda finora, told: finora.replace_data_keys(timedelta(days=days), told))


def _done(data: Data, as_json: bool, act: "Callable[[Finora, Callable[[Job], None]], Job]") -> None:
    last = ""

    def told(job: "Job") -> None:
        nonlocal last
        now = f"{job.done_parts} of {job.all_parts} tenants" if job.all_parts else ""
        if now != last:
            last = now
            say(now, err=True)

    with refusals(as_json), books(data) as (finora, _):
        job = act(finora, told)
        if job.state != "done":
            tell(job.reason or "CANCELLED", job.message or f"the job is {job.state}", (), as_json)
    result = dict(job.result or {})
    if as_json:
        put(result)
    else:
        say(f"{result['keys']} keys of {result['tenants']} tenants")
