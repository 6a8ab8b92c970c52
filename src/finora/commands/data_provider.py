"""`finora data-provider`: serving sources to other installations, and the keys they ask with."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from finora.commands.common import AsJson, Data, books, put, refusals, say, settings_of

if TYPE_CHECKING:
    from finora_core.market.provision.model import Quota

provider = typer.Typer(invoke_without_command=True)
key = typer.Typer(help="Keys, with which other installations ask.", no_args_is_help=True)
provider.add_typer(key, name="key")

Monthly = Annotated[
    int | None, typer.Option("--monthly", min=0, help="Requests in a calendar month; 0: no limit.")
]
Window = Annotated[
    str | None, typer.Option("--window", help="Requests/seconds, as 60/60; 0: no limit.")
]
KeyId = Annotated[str, typer.Argument(help="Its id, as `key list` shows it.")]


@provider.callback()
def data_provider(
    context: typer.Context,
    data: Data = None,
    host: Annotated[str, typer.Option("--host", help="Address that it listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port that it listens on.")] = 8082,
) -> None:
    """Serve this installation's sources of prices, rates and identities to other ones.

    They name it in FINORA_DATA_URL, and have a key made with `key create` in FINORA_DATA_KEY.

    Example: finora data-provider
    """
    if context.invoked_subcommand is not None:
        return
    from finora_web.server import serve as run

    with refusals(False):
        # It is the end of the chain, whatever its environment says.
        own = {"http_host": host, "http_port": port, "data_url": None, "data_key": None}
        run(settings_of(data).model_copy(update=own), tags=("sources",))


@key.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="Whose it is.")],
    monthly: Monthly = None,
    window: Window = None,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=3650, help="Days until it ends.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once. Without quotas it has those of FINORA_DATA_MONTHLY and
    FINORA_DATA_WINDOW.

    Example: finora data-provider key create "Acme" --monthly 100000 --window 60/60
    """
    with refusals(as_json), books(data) as (finora, scope):
        quota = _quota(monthly, window, finora.data.usual)
        ends = None if days is None else datetime.now(UTC) + timedelta(days=days)
        made = finora.tokens.create(
            scope, name, expires_at=ends, permissions=frozenset({"data:ask"})
        )
        if monthly is not None or window is not None:
            finora.data.set_quota(scope, made.token.id, quota)
        if as_json:
            put({"id": str(made.token.id), "text": made.text})
        else:
            say(made.text)


@key.command("list")
def list_keys(data: Data = None, as_json: AsJson = False) -> None:
    """The keys, what each may, and what it asked this month.

    Example: finora data-provider key list
    """
    with refusals(as_json), books(data) as (finora, scope):
        found = [
            {
                "id": str(each.id),
                "name": each.name,
                "state": each.state,
                **_shown(each.quota),
                "used": each.used,
                "cost_micros": each.cost_micros,
            }
            for each in finora.data.keys(scope)
        ]
        if as_json:
            put(found)
        for each in [] if as_json else found:
            say(
                f"{each['id']}  {each['state']:8} {each['used']} of {each['monthly'] or 'any'}"
                f" this month, {each['window'] or 'any'} a window, "
                f"cost {each['cost_micros']} micros  {each['name']}"
            )


@key.command("quota")
def set_quota(
    key_id: KeyId,
    monthly: Monthly = None,
    window: Window = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Let a key ask so often from now on; what is not named stays.

    Example: finora data-provider key quota 01a1fcea-2975-79f6-8951-17db3f6ce9dd --monthly 5000
    """
    wanted = _id(key_id)
    with refusals(as_json), books(data) as (finora, scope):
        known = {each.id: each.quota for each in finora.data.keys(scope)}
        quota = _quota(monthly, window, known.get(wanted, finora.data.usual))
        plan = finora.data.set_quota(scope, wanted, quota)
        shown = {"id": str(wanted), **_shown(plan.quota)}
        if as_json:
            put(shown)
        else:
            say(f"{shown['monthly'] or 'any'} a month, {shown['window'] or 'any'} a window")


@key.command("block")
def block_key(key_id: KeyId, data: Data = None, as_json: AsJson = False) -> None:
    """Answer a key with 402 BILLING_BLOCKED until it is unblocked.

    Example: finora data-provider key block 01a1fcea-2975-79f6-8951-17db3f6ce9dd
    """
    with refusals(as_json), books(data) as (finora, scope):
        finora.data.block(scope, _id(key_id))
        put({"id": key_id}) if as_json else say("blocked")


@key.command("unblock")
def unblock_key(key_id: KeyId, data: Data = None, as_json: AsJson = False) -> None:
    """Let a blocked key ask again.

    Example: finora data-provider key unblock 01a1fcea-2975-79f6-8951-17db3f6ce9dd
    """
    with refusals(as_json), books(data) as (finora, scope):
        finora.data.unblock(scope, _id(key_id))
        put({"id": key_id}) if as_json else say("unblocked")


@key.command("revoke")
def revoke_key(key_id: KeyId, data: Data = None, as_json: AsJson = False) -> None:
    """End a key for good; what it asked stays.

    Example: finora data-provider key revoke 01a1fcea-2975-79f6-8951-17db3f6ce9dd
    """
    with refusals(as_json), books(data) as (finora, scope):
        gone = finora.tokens.revoke(scope, _id(key_id))
        put({"id": str(gone.id)}) if as_json else say(f"revoked {gone.name}")


@provider.command("usage")
def show_usage(
    since: Annotated[
        datetime | None,
        typer.Option("--since", formats=["%Y-%m-%d"], help="First day; unset, 31 days ago."),
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """What was asked by day, key and source, and what it cost upstream.

    Example: finora data-provider usage --since 2026-11-01
    """
    with refusals(as_json), books(data) as (finora, scope):
        found: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            page = finora.data.usage(
                scope, since=None if since is None else since.date(), cursor=after, limit=1000
            )
            found += [
                {
                    "date": each.on_date.isoformat(),
                    "key": str(each.key_id),
                    "source": each.source,
                    "requests": each.requests,
                    "cost_micros": each.cost_micros,
                }
                for each in page.items
            ]
            if (after := page.next) is None:
                break
        if as_json:
            put(found)
        for each in [] if as_json else found:
            say(
                f"{each['date']}  {each['key']}  {each['source']:16} {each['requests']:10}  "
                f"cost {each['cost_micros']} micros"
            )


def _quota(monthly: int | None, window: str | None, before: "Quota") -> "Quota":
    from finora_core.market.provision.model import Quota, window_of

    return Quota(
        monthly=before.monthly if monthly is None else monthly or None,
        window=before.window if window is None else window_of("" if window == "0" else window),
    )


def _shown(quota: "Quota") -> dict[str, object]:
    window = quota.window
    return {
        "monthly": quota.monthly,
        "window": None if window is None else f"{window.requests}/{window.seconds}",
    }


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter("this is not an id") from None
