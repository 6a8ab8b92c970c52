"""`finora demo`, `migrate`, `doctor`, `plugins`: running it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finora.commands.common import AsJson, Data, books, put, refusals, say, screen, settings_of

if TYPE_CHECKING:
    from finora_core.manifest import SourceState


def demo(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Statements; a household's own, if none are named."),
    ] = None,
    currency: Annotated[str | None, typer.Option(help="Currency of files that name none.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Import statements twice and show what comes out.

    In different order, so that the second pass adds nothing; a household's own, if none are named.

    \b
    Example: finora demo statements/*.ofx
    """
    from rich.console import Console

    from finora.commands.demo import demo as run

    with refusals(as_json), books(data) as (finora, _):
        shown = run(finora, files or [], Console(quiet=True) if as_json else screen(), currency)
    if as_json:
        put(shown)


def migrate(data: Data = None, as_json: AsJson = False) -> None:
    """Bring the database to this release's schema.

    The embedded one migrates by itself.

    \b
    Example: finora migrate --json
    """
    from finora import Finora

    with refusals(as_json):
        revision = Finora.migrate(settings_of(data))
    if as_json:
        put({"revision": revision})
    else:
        say(f"the schema is at {revision}")


def doctor(data: Data = None, as_json: AsJson = False) -> None:
    """Say what runs, and what is wrong.

    Versions, settings, schema, invariants, plugins, stored files. Ends with 1
    if something is wrong.

    \b
    Example: finora doctor --json
    """
    from finora.commands.doctor import examine
    from finora_core.kernel.plain import to_plain

    with refusals(as_json):
        findings = list(examine(settings_of(data)))
    well = all(finding.well for finding in findings)
    if as_json:
        put({"well": well, "findings": to_plain(findings)})
    else:
        for finding in findings:
            mark = "ok  " if finding.well else "BAD "
            say(f"{mark}{finding.subject}: {finding.said}")
            if not finding.well:
                say(f"    {finding.remedy}")
    if not well:
        raise typer.Exit(1)


def plugins(
    tiers: Annotated[
        bool, typer.Option("--tiers", help="Run the conformance kit on what packages ship.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List the plugins.

    What each provides and reaches, what its sources need, and which were set
    aside for what reason.

    \b
    Example: finora plugins --json
    """
    from finora_adapters.compose import installed_plugins
    from finora_core.kernel.plain import to_plain

    with refusals(as_json):
        found = installed_plugins(settings_of(data), tiers=tiers)
    if as_json:
        put({"plugins": [{**_fields(to_plain(plugin)), "works": plugin.works} for plugin in found]})
        return
    for plugin in found:
        confined = ", confined" if plugin.trust == "confined" else ""
        say(f"{plugin.name} ({plugin.package} {plugin.version}{confined})")
        for provided in plugin.provides:
            say(f"  {provided}")
        for source in plugin.sources:
            say(f"  source {source.declared.name}: {_said(source)}")
        if plugin.reason:
            say(f"  set aside: {plugin.reason}")


def _said(source: "SourceState") -> str:
    declared = source.declared
    said = [", ".join(declared.hosts)]
    said += [f"{each.requests} requests in {each.seconds} s" for each in declared.limits]
    for each in declared.credentials:
        if each.field in source.unset:
            name = f"FINORA_PLUGIN_{declared.name}_{each.field}".upper()
            said.append(f"{'needs' if each.required else 'takes'} {name}")
    said += [source.tier] if source.tier else []
    said += [f"set aside: {source.aside}"] if source.aside else []
    said += [f"rests: {source.resting}"] if source.resting else []
    return "; ".join(said)


def _fields(plain: object) -> dict[str, object]:
    assert isinstance(plain, dict)
    return plain
