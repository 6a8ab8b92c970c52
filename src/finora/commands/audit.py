"""`finora audit`: anchoring the event log, and proving that nobody changed it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finora.commands.common import AsJson, Data, books, put, refusals, say, settings_of

if TYPE_CHECKING:
    from uuid import UUID

    from finora import Settings
    from finora_core.audit.model import Flaw
    from finora_core.audit.ports import Anchors

audit = typer.Typer(help="The audit log: anchors, and its check.", no_args_is_help=True)


@audit.command("anchor")
def make_anchor(data: Data = None, as_json: AsJson = False) -> None:
    """Write the ends of all chains to the store of files, signed.

    A worker does so every hour. Ends with 1 where the anchor before does not
    hold any more; the new one is written all the same.

    Example: finora audit anchor
    """
    from finora_adapters.postgres.tenants import UPKEEP

    with refusals(as_json), books(data) as (finora, _):
        finora.run_jobs(0)  # what was written is sealed
        made = finora.anchoring.anchor(finora.scope(UPKEEP, UPKEEP))
    if as_json:
        plain = {"number": made.number, "digest": made.digest, "tenants": made.tenants}
        put({**plain, "flaws": [_shown(each) for each in made.flaws]})
    else:
        say(f"anchor {made.number} of {made.tenants} tenants: sha256 {made.digest}")
        for flaw in made.flaws:
            say(f"BAD {flaw}")
    if made.flaws:
        raise typer.Exit(1)


@audit.command("verify")
def verify(
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="ID", help="This tenant alone.")
    ] = None,
    anchors: Annotated[
        Path | None,
        typer.Option("--anchors", metavar="FOLDER", help="Compare with a copy of the anchors."),
    ] = None,
    from_store: Annotated[
        bool, typer.Option("--from-store", help="Refuse where the store has no anchors.")
    ] = False,
    public_key: Annotated[
        list[str] | None,
        typer.Option("--public-key", metavar="HEX", help="The anchors' key; may be repeated."),
    ] = None,
    since: Annotated[
        int, typer.Option("--since", min=1, help="Number of the first anchor that counts.")
    ] = 1,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Check every link of every tenant's chain, and every anchor.

    Ends with 1 and names the exact row where anything was changed, deleted,
    swapped, inserted, cut off or rewritten.

    Example: finora audit verify --anchors copy-of-anchors --public-key $KEY
    """
    from finora_adapters.signing import anchor_keys

    if anchors is not None and from_store:
        raise typer.BadParameter("--anchors and --from-store exclude each other")
    only = None if tenant is None else _id(tenant)
    keys = frozenset(_key(each) for each in public_key or ())
    with refusals(as_json):
        settings = settings_of(data)
        kept = _anchors(settings, anchors, from_store)
        with books(data) as (finora, _):
            finora.run_jobs(0)
            if kept is not None:
                keys = keys or anchor_keys(settings)
            found = finora.auditor.verify(
                only, kept, keys, since=since, all_anchors=anchors is None
            )
    if as_json:
        plain = {"whole": found.whole, "tenants": found.tenants, "links": found.links}
        flaws = [_shown(each) for each in found.flaws]
        put({**plain, "anchors": found.anchors, "flaws": flaws})
    else:
        for flaw in found.flaws:
            say(f"BAD {flaw}")
        looked = f"{found.tenants} tenants, {found.links} links, {found.anchors} anchors"
        say(f"{looked}: {'all as it was sealed' if found.whole else 'NOT as it was sealed'}")
    if not found.whole:
        raise typer.Exit(1)


@audit.command("key")
def show_key(data: Data = None, as_json: AsJson = False) -> None:
    """Show the public key of the anchors.

    Give it to whoever is to verify, by another way than the anchors.

    Example: finora audit key
    """
    from finora_adapters.signing import anchor_key

    with refusals(as_json):
        shown = anchor_key(settings_of(data)).public_key.hex()
    put({"public_key": shown}) if as_json else say(shown)


@audit.command("actor")
def show_actor(
    name: Annotated[str, typer.Argument(help="As in the header x-admin-actor.")],
    as_json: AsJson = False,
) -> None:
    """Show the id under which an operator stands in the log.

    Example: finora audit actor ada@example.com
    """
    from finora_core.jobs.operators import operator_id

    shown = str(operator_id(name))
    put({"actor": shown}) if as_json else say(shown)


def _anchors(settings: "Settings", folder: Path | None, needed: bool) -> "Anchors | None":
    from finora_adapters.compose import anchors_of
    from finora_adapters.storage.anchors import DirectoryAnchors
    from finora_core.audit.model import AnchorNotFound

    kept = anchors_of(settings) if folder is None else DirectoryAnchors(folder)
    if next(kept.numbers(), None) is not None:
        return kept
    if needed or folder is not None:
        raise AnchorNotFound("there are no anchors to compare with")
    return None


def _shown(flaw: "Flaw") -> dict[str, object]:
    from finora_core.kernel.plain import to_plain

    plain = to_plain(flaw)
    assert isinstance(plain, dict)
    return plain


def _id(text: str) -> "UUID":
    from uuid import UUID

    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter("this is not a tenant's id") from None


def _key(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise typer.BadParameter("a public key has 64 hexadecimal digits")
    return found
