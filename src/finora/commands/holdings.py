"""`finora holdings`, `holding`, `allocation` and `activity`: what is held, how it came there
and what it is worth, today and on other days."""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finora.commands.books import Day, table
from finora.commands.common import AsJson, Data, books, put, refusals, say
from finora_core.kernel.plain import to_plain

if TYPE_CHECKING:
    from uuid import UUID

    from finora import Amount, Asset, Finora, Scope
    from finora_core.portfolio.history import HoldingDay
    from finora_core.portfolio.model import Activity, PortfolioAccount
    from finora_core.portfolio.valuation import HoldingValue

activity = typer.Typer(no_args_is_help=True, help="What was bought, sold, earned and moved.")
_MOST_GAPS = 2
_FIGURES = ("total", "invested", "gain", "fees", "taxes", "income")
_OF_PART = ("key", "name", "value", "share_bp", "gap")
_OF_DAY = ("value", "cost", "realised", "unrealised", "coverage", "gap")
_OF_HOLDING = ("quantity", "value", "invested", "gain", "realised", "fees", "income", "stale")


def holdings(
    at: Day = None,
    to: Annotated[str | None, typer.Option(help="Asset to tell it in; the base, if not.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """What you hold, what it is worth, what it cost and what you gained.

    What has no price is in no total, and is named.

    \b
    Example: finora holdings --to USD
    """
    with refusals(as_json), books(data) as (finora, scope):
        found = finora.portfolio.valuation(scope, _end(at), to=to)
        names = finora.portfolio.own_assets(scope)
    shown = [each for each in found.holdings if each.quantity]
    if as_json:
        put({
            "at": found.at.isoformat(),
            "base": found.base.id,
            **{name: _known(getattr(found, name)) for name in _FIGURES},
            "coverage": found.coverage.value,
            "holdings": [_plain(each) for each in shown],
        })  # fmt: skip
        return
    rows = [
        (
            names.get(each.quantity.asset.id, each.quantity.asset.id),
            each.account.ledger_name,
            each.quantity.text,
            each.value.text if each.value is not None else "no price",
            each.invested.text if each.invested is not None else "-",
            each.gain.text if each.gain is not None else "-",
        )
        for each in shown
    ]
    columns = ("holding", "where", "quantity", f"value {found.base}", "cost", "gain")
    table(columns, rows, {2, 3, 4, 5})
    for name in _FIGURES:
        told = _known(getattr(found, name))
        gap = f" (without: {_some(told['gap'])})" if told["gap"] else ""
        say(f"{name}: {told['value']['amount']} {found.base}{gap}")


def allocation(
    by: Annotated[str, typer.Option(help="asset, type, account or institution.")] = "asset",
    at: Day = None,
    to: Annotated[str | None, typer.Option(help="Asset to tell it in; the base, if not.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """How what you hold is spread: shares of the value that is known.

    What has no price is named beside it, and is in no share.

    \b
    Example: finora allocation --by type
    """
    from finora_core.portfolio.allocation import Spread
    from finora_core.portfolio.model import bad

    with refusals(as_json), books(data) as (finora, scope):
        if by not in set(Spread):
            raise bad("by", f"one of {', '.join(Spread)}")
        found = finora.portfolio.allocation(scope, Spread(by), _end(at), to=to)
    if as_json:
        put({
            "at": found.of.at.isoformat(),
            "base": found.of.base.id,
            "by": found.by.value,
            "total": _known(found.of.total),
            "coverage": found.of.coverage.value,
            "parts": [
                {name: to_plain(getattr(each, name)) for name in _OF_PART}
                | {"holdings": len(each.holdings), "unpriced": len(each.unpriced)}
                for each in found.parts
            ],
        })  # fmt: skip
        return
    rows = [
        (
            each.name,
            "no price" if each.value is None else each.value.text,
            "-" if each.share_bp is None else f"{Decimal(each.share_bp).scaleb(-2):.2f} %",
            str(len(each.unpriced) or ""),
        )
        for each in found.parts
    ]
    table((by, f"value {found.of.base}", "share", "without a price"), rows, {1, 2, 3})


def holding(
    asset: Annotated[str, typer.Argument(help="isin:IE00BK5BQT80, ticker:AAPL, crypto:BTC, EUR.")],
    account: Annotated[
        str | None, typer.Option(help="Name or id, where several have had some.")
    ] = None,
    since: Day = None,
    until: Day = None,
    to: Annotated[str | None, typer.Option(help="Asset to tell it in; the base, if not.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """One holding day by day: how much there was, what it was worth, what it cost.

    \b
    Example: finora holding ticker:AAPL --since 2026-01-01
    """
    with refusals(as_json), books(data) as (finora, scope):
        days = finora.portfolio_history.of_holding(
            scope,
            _holder(finora, scope, asset, account),
            asset,
            to=to,
            since=since.date() if since else None,
            until=until.date() if until else None,
        )
    if as_json:
        put({"days": [_day(each) for each in days]})
        return
    rows = [
        (
            f"{each.figures.day}",
            each.quantity.text,
            each.figures.value.text,
            each.figures.cost.text,
            each.figures.gap or "",
        )
        for each in days
    ]
    base = days[0].figures.base.id if days else ""
    table(("day", "quantity", f"value {base}", "cost", "lacks"), rows, {1, 2, 3})


def _holder(finora: "Finora", scope: "Scope", asset: str, account: str | None) -> "UUID":
    """The account that is named, or the only one that had any."""
    from finora_core.portfolio.model import ActivityFilter, bad

    if account is not None:
        for each in finora.portfolio.accounts(scope):
            if account in (str(each.id), each.name, each.ledger_name):
                return each.id
        raise bad("account", f"there is no {account[:40]!r}")
    finora.ledger.asset(scope, asset)
    wanted = ActivityFilter(asset=asset)
    found = {each.account_id for each in finora.portfolio.list(scope, wanted, limit=1_000).items}
    if len(found) != 1:
        raise bad("account", f"{len(found)} accounts have had some: say which with --account")
    return found.pop()


def _day(each: "HoldingDay") -> dict[str, Any]:
    figures = {name: to_plain(getattr(each.figures, name)) for name in _OF_DAY}
    return {"day": each.figures.day.isoformat(), "quantity": to_plain(each.quantity)} | figures


def _end(day: datetime | None) -> datetime | None:
    return None if day is None else day.replace(tzinfo=UTC, hour=23, minute=59, second=59)


def _some(gap: str) -> str:
    """The first things that a figure lacks, and how many more: `--json` has them all."""
    first, rest = gap.split("; ")[:_MOST_GAPS], gap.split("; ")[_MOST_GAPS:]
    return "; ".join(first) + (f"; and {len(rest)} more" if rest else "")


def _known(figure: Any) -> dict[str, Any]:
    plain: Any = to_plain(figure)
    return {"gap": None, **plain}


def _plain(each: "HoldingValue") -> dict[str, Any]:
    return {
        "account_id": str(each.account.id),
        "asset": each.quantity.asset.id,
        "included": each.included,
        **{name: to_plain(getattr(each, name)) for name in _OF_HOLDING},
    }


@activity.command("add", context_settings={"ignore_unknown_options": True})  # -2 is none
def add_activity(
    kind: Annotated[str, typer.Argument(help="buy, sell, dividend, deposit, fee, ...")],
    asset: Annotated[str, typer.Argument(help="isin:IE00BK5BQT80, ticker:AAPL, crypto:BTC, EUR.")],
    quantity: Annotated[str, typer.Argument(help="A sale is negative.")] = "0",
    price: Annotated[str | None, typer.Option(help="Of one.")] = None,
    currency: Annotated[str, typer.Option(help="What price, amount and fee are in.")] = "EUR",
    amount: Annotated[
        str | None, typer.Option(help="Money of it, signed; of a trade price by quantity.")
    ] = None,
    fee: Annotated[str | None, typer.Option(help="Paid on top.")] = None,
    at: Day = None,
    ratio: Annotated[
        str | None, typer.Option(help="Of a split, new ones for old ones: 4:1.")
    ] = None,
    account: Annotated[str, typer.Option(help="Name or id; opened where there is none.")] = "Main",
    note: Annotated[str, typer.Option(help="In your words.")] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Enter what you bought, sold, received or paid.

    \b
    Example: finora activity add buy isin:IE00BK5BQT80 4 --price 98.25 --fee 1
    finora activity add split ticker:AAPL --ratio 4:1 --at 2020-08-31
    """
    from finora_core.portfolio.model import ActivityKind, bad
    from finora_core.portfolio.service import NewActivity

    with refusals(as_json), books(data) as (finora, scope):
        if kind not in set(ActivityKind):
            raise bad("kind", f"one of {', '.join(sorted(ActivityKind))}")
        counted = _asset(finora, scope, asset)
        quote = finora.ledger.asset(scope, currency)
        new = NewActivity(
            account_id=_account(finora, scope, account).id,
            kind=ActivityKind(kind),
            asset=counted.id,
            quantity=_amount(quantity, counted),
            at=at.replace(tzinfo=UTC) if at else datetime.now(UTC),
            price=None if price is None else _price(price),
            quote=None if price is None else quote,
            counter=None if amount is None else _amount(amount, quote),
            fee=None if fee is None else _amount(fee, quote),
            note=note,
            ratio=None if ratio is None else _ratio(ratio),
        )
        made = finora.portfolio.add(scope, new)
    _show([made], as_json)


@activity.command("list")
def list_activities(
    limit: Annotated[int, typer.Option(help="How many.")] = 50,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """What happened to your holdings, latest first.

    \b
    Example: finora activity list --limit 10
    """
    with refusals(as_json), books(data) as (finora, scope):
        found = finora.portfolio.list(scope, limit=limit).items
    _show(list(found), as_json)


@activity.command("delete")
def delete_activity(
    which: Annotated[str, typer.Argument(help="Its id.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Take an activity back: its entry is reversed.

    \b
    Example: finora activity delete 0199f0c2-0000-7000-8000-000000000000
    """
    from uuid import UUID

    from finora_core.portfolio.model import ActivityNotFound

    with refusals(as_json), books(data) as (finora, scope):
        try:
            activity_id = UUID(which)
        except ValueError as error:
            raise ActivityNotFound(f"{which[:40]!r} is no id") from error
        finora.portfolio.delete(scope, activity_id)
    put({"deleted": which}) if as_json else say(f"{which} is taken back")


def _show(found: "list[Activity]", as_json: bool) -> None:
    if as_json:
        put({"activities": [to_plain(each) for each in found]})
        return
    rows = [
        (
            str(each.id),
            f"{each.at:%Y-%m-%d}",
            each.kind.value,
            str(each.quantity),
            str(each.counter) if each.counter is not None else "",
        )
        for each in found
    ]
    table(("id", "on", "what", "quantity", "money"), rows, {3, 4})


def _asset(finora: "Finora", scope: "Scope", asset_id: str) -> "Asset":
    """One that is known, or a share or a coin by the name that the world gives it."""
    from finora_core.kernel.asset import UnknownAsset
    from finora_core.market.assets.model import world_asset

    try:
        return finora.ledger.asset(scope, asset_id)
    except UnknownAsset:
        asset = world_asset(asset_id)
        if asset is None:
            raise
        return finora.ledger.register_asset(scope, asset)


def _account(finora: "Finora", scope: "Scope", named: str) -> "PortfolioAccount":
    for each in finora.portfolio.accounts(scope):
        if named in (str(each.id), each.name, each.ledger_name):
            return each
    return finora.portfolio.open_account(scope, named)


def _amount(text: str, asset: "Asset") -> "Amount":
    from finora import Amount

    return Amount.parse(text, asset)


def _ratio(text: str) -> Fraction:
    from finora_core.portfolio.model import bad

    if not re.fullmatch(r"[1-9]\d{0,11}:[1-9]\d{0,11}", text, re.ASCII):
        raise bad("ratio", f"{text[:40]!r} is not new ones for old ones, as 4:1 is")
    return Fraction(text.replace(":", "/"))


def _price(text: str) -> Decimal:
    from finora_core.portfolio.model import bad

    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise bad("price", f"{text[:40]!r} is no price") from error
