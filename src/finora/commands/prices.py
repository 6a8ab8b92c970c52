"""`finora prices` and `finora assets`: facts to convert with, their gaps and faults, and who an
asset is."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from finora.commands.books import Day, table
from finora.commands.common import AsJson, Data, books, opened, put, refusals, say, tell

prices = typer.Typer(
    no_args_is_help=True,
    help="Prices: facts to convert with.\n\n\b\nExample: finora prices import vwce.csv",
)
assets = typer.Typer(no_args_is_help=True, help="Assets: who they are.")

AssetOf = Annotated[str, typer.Argument(help="Its id: EUR, isin:IE00B4L5Y983, crypto:BTC.")]
QuoteOf = Annotated[str, typer.Argument(help="What the price is in.")]
SourceOf = Annotated[str, typer.Option(help="Who says so, in lower case.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show it, and keep nothing.")]


@prices.command("import")
def import_(
    file: Path,
    source: SourceOf = "file",
    asset: Annotated[str | None, typer.Option(help="Of a file that does not name it.")] = None,
    quote: Annotated[str | None, typer.Option(help="What its prices are in.")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend a history's faults by further facts.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Take in a table of prices (date,price or asset,quote,date,price), or a Yahoo history.

    \b
    Example: finora prices import vwce.csv --asset ticker:VWCE.DE --quote EUR --repair
    """
    with refusals(as_json), books(data) as (finora, scope), opened(file, as_json) as content:
        found = finora.prices.import_file(
            scope, content, source=source, asset=asset, quote=quote, repair=repair
        )
    taken = found.prices
    if as_json:
        shown = {
            "source": taken.source,
            "added": taken.added,
            "corrected": taken.corrected,
            "existing": taken.existing,
            "unknown": list(taken.unknown),
            "set_aside": found.set_aside,
        }
        put(shown | (_mended(found.mended) if found.mended else {}))
        return
    say(f"{taken.added} added, {taken.corrected} corrected, {taken.existing} there before")
    if taken.unknown:
        say(f"not known, and left out: {', '.join(taken.unknown)}")
    if found.set_aside:
        say(f"{found.set_aside} lines have no price: their days are gaps")
    if found.mended:
        _show(found.mended)


@prices.command("list")
def list_(
    asset: AssetOf,
    quote: Annotated[str | None, typer.Option(help="Only those in this.")] = None,
    since: Day = None,
    until: Day = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """The latest hundred prices of an asset, corrections beside what they correct.

    Example: finora prices list ticker:VWCE.DE --since 2026-01-01
    """
    with refusals(as_json), books(data) as (finora, scope):
        found = finora.prices.list(
            scope, asset, quote=quote, since=_day(since), until=_day(until), limit=100
        ).items
    if as_json:
        put({"prices": [_fact(each) for each in found]})
        return
    rows = [(f"{each.at:%Y-%m-%d %H:%M}", format(each.value, "f"), each.quote, each.source,
             str(each.revision)) for each in found]  # fmt: skip
    table(("at", "price", "in", "source", "revision"), rows, right={1, 4})


@prices.command("convert")
def convert(
    amount: str,
    asset: AssetOf,
    to: QuoteOf,
    at: Day = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """An amount in another asset, with the path, its age and whether it is stale.

    Example: finora prices convert 1.5 crypto:BTC EUR --at 2026-01-31
    """
    from finora_core.kernel.amount import Amount
    from finora_core.kernel.plain import to_plain
    from finora_core.market.prices.model import Factor, midnight

    when = midnight(at.date()) if at else datetime.now(UTC)
    with refusals(as_json), books(data) as (finora, scope):
        of = Amount.parse(amount, finora.ledger.asset(scope, asset))
        found = finora.prices.convert(scope, of, to, when)
    by = found.by
    if not isinstance(by, Factor):
        tell("NO_PRICE", str(by), (), as_json)
    if as_json:
        put(
            {
                "result": to_plain(found.result),
                "rate": f"{by.rate:f}",
                "path": list(by.path),
                "effective_at": by.effective_at.isoformat(),
                "stale": by.stale,
                "prices": [_fact(each) for each in by.facts],
            }
        )
        return
    old = ", which is too old to rely on" if by.stale else ""
    say(f"{found.result} by {' > '.join(by.path)}, of {by.effective_at:%Y-%m-%d %H:%M}{old}")


@prices.command("coverage")
def coverage(
    asset: AssetOf,
    to: QuoteOf,
    since: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], metavar="DATE")],
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], metavar="DATE")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Of how many days an asset has a price, and which days nobody said one of.

    Example: finora prices coverage crypto:BTC EUR --since 2026-01-01 --until 2026-01-31
    """
    with refusals(as_json), books(data) as (finora, scope):
        [found] = finora.prices.coverage(scope, [asset], to, since.date(), until.date())
        gaps = finora.prices.gaps(scope, asset, since.date(), until.date())
    if as_json:
        put(
            {
                "days": found.days,
                "priced": found.priced,
                "stale": found.stale,
                "missing": found.missing,
                "gaps": [{"since": str(gap.since), "until": str(gap.until)} for gap in gaps],
            }
        )
        return
    say(f"{found.priced} of {found.days} days have a price, {found.stale} of them one too old")
    table(("no price from", "to"), [(str(gap.since), str(gap.until)) for gap in gaps], right=set())


@prices.command("repair")
def repair(
    asset: AssetOf,
    quote: QuoteOf,
    source: SourceOf = "file",
    right: Annotated[
        str | None, typer.Option(help="A price it is known to be near, where half of it is off.")
    ] = None,
    dry_run: DryRun = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Mend a stored history: days in another unit, and days that a split was not applied to.

    What was there stays, and what is right stands beside it.

    Example: finora prices repair ticker:AET.L GBP --right 14.55 --dry-run
    """
    from fractions import Fraction

    from finora_core.kernel.amount import units_of

    with refusals(as_json), books(data) as (finora, scope):
        near = Fraction(units_of(right, 18), 10**18) if right else None
        found = finora.prices.repair(
            scope, asset, quote, source=source, right=near, dry_run=dry_run
        )
    if as_json:
        put(_mended(found))
    else:
        _show(found)


@prices.command("refresh")
def refresh(
    source: Annotated[str | None, typer.Option(help="Of this source only.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Ask the sources for the prices of what is held.

    Example: finora prices refresh --source coingecko
    """
    with refusals(as_json), books(data) as (finora, scope):
        job_id = finora.market.ask(scope, source)
        finora.run_jobs()
        job = finora.jobs.get(scope, job_id)
    result: Any = job.result or {}
    if as_json:
        put({"state": job.state.value, "result": result})
        return
    say(f"{result.get('priced', 0)} of {result.get('tokens', 0)} assets priced")
    for name, outcomes in result.get("sources", {}).items():
        say(f"  {name}: {', '.join(f'{count} {outcome}' for outcome, count in outcomes.items())}")


@assets.command("search")
def search(words: str, data: Data = None, as_json: AsJson = False) -> None:
    """Find assets by symbol, name, id or part of the title.

    Example: finora assets search apple
    """
    with refusals(as_json), books(data) as (finora, scope):
        found = finora.assets.search(scope, words).items
    if as_json:
        put({"assets": [_who(each) for each in found]})
        return
    rows = [(each.symbol, each.title, each.segment, each.asset,
             "" if each.counts else f"looks like {each.lookalike}" if each.lookalike else "scam")
            for each in found]  # fmt: skip
    table(("symbol", "title", "of", "id", ""), rows, right=set())


def _who(found: Any) -> dict[str, object]:
    return {
        "asset": found.asset,
        "symbol": found.symbol,
        "kind": found.kind.value,
        "segment": found.segment,
        "title": found.title,
        "names": dict(found.names),
        "scam": found.scam,
        "lookalike": found.lookalike,
        "counts": found.counts,
    }


def _fact(each: Any) -> dict[str, object]:
    return {
        "asset": each.asset,
        "quote": each.quote,
        "at": each.at.isoformat(),
        "value": format(each.value, "f"),
        "granularity": each.granularity.value,
        "source": each.source,
        "revision": each.revision,
    }


def _mended(found: Any) -> dict[str, object]:
    from finora_core.market.prices.repair import decimal_of

    fixes = [
        {
            "at": fix.at.isoformat(),
            "fault": fix.fault.value,
            "before": format(decimal_of(fix.before), "f"),
            "after": format(decimal_of(fix.after), "f"),
        }
        for fix in found.fixes
    ]
    return {"fixes": fixes, "unclear": list(found.unclear)}


def _show(found: Any) -> None:
    from finora_core.market.prices.repair import decimal_of

    rows = [(f"{fix.at:%Y-%m-%d %H:%M}", fix.fault.value, format(decimal_of(fix.before), "f"),
             format(decimal_of(fix.after), "f")) for fix in found.fixes]  # fmt: skip
    table(("at", "fault", "before", "after"), rows, right={2, 3})
    for said in found.unclear:
        say(f"left as it is: {said}")


def _day(given: Any) -> date | None:
    return given.date() if given else None
