"""How the value of a portfolio is spread: of what is known, with what is not beside it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
import pytest
from typer.testing import CliRunner

from desk import EUR, START, Desk, thing
from finora import Amount, Asset, Finora
from finora.cli import app as command
from finora_core.market.assets.model import AssetKind, Identity
from finora_core.portfolio.allocation import Spread, kind_of
from finora_core.portfolio.history import end_of
from finora_core.portfolio.model import ActivityKind

DAY = timedelta(days=1)
TODAY = datetime.now(UTC).date()


@pytest.fixture
def spread(desk: Desk) -> Desk:
    """600 of a share, 300 of a coin, 100 of money, -200 owed at another place, and two things that
    nobody has a price of, one of them left out."""
    tag = desk.account.id.hex[-8:]
    share, gap, out = (thing(f"{name}-{tag}") for name in ("SHARE", "GAP", "OUT"))
    coin = Asset(f"crypto:COIN{tag}", 18)
    for asset, quantity in ((share, "6"), (coin, "3"), (gap, "5"), (out, "5")):
        desk.trade(asset, quantity, "90", START)
    for asset in (share, coin):
        desk.price(asset, "100", START)
    desk.finora.portfolio.include(desk.scope, desk.account.id, out.id, included=False)
    desk.add(kind=ActivityKind.DEPOSIT, asset="EUR", at=START, quantity=Amount.parse("100.00", EUR))
    card = desk.finora.portfolio.open_account(desk.scope, "Card", "ing")
    attrs.evolve(desk, account=card).add(
        kind=ActivityKind.UNKNOWN, asset="EUR", at=START, quantity=Amount.parse("-200.00", EUR)
    )
    return desk


def told(desk: Desk, by: Spread) -> list[tuple[str, str | None, int | None, int]]:
    found = desk.finora.portfolio.allocation(desk.scope, by, START + DAY)
    assert found.of.total.value.text == "800.00"
    tag = desk.account.id.hex[-8:]
    return [
        (
            each.name.replace(tag, ""),
            each.value.text if each.value else None,
            each.share_bp,
            len(each.unpriced),
        )
        for each in found.parts
    ]


@pytest.mark.spec("S0-53", partial=True)
def test_shares_are_of_what_is_known(spread: Desk) -> None:
    assert told(spread, Spread.ASSET) == [
        ("SHARE-", "600.00", 7_500, 0), ("COIN", "300.00", 3_750, 0),
        ("EUR", "-100.00", -1_250, 0), ("GAP-", None, None, 1),
    ]  # fmt: skip
    assert told(spread, Spread.TYPE) == [
        ("security", "600.00", 7_500, 1), ("crypto", "300.00", 3_750, 0),
        ("currency", "-100.00", -1_250, 0),
    ]  # fmt: skip
    assert told(spread, Spread.ACCOUNT) == [
        ("Manual: Main", "1000.00", 12_500, 1), ("ING: Card", "-200.00", -2_500, 0),
    ]  # fmt: skip
    assert told(spread, Spread.INSTITUTION) == [
        ("Manual", "1000.00", 12_500, 1), ("ING", "-200.00", -2_500, 0),
    ]  # fmt: skip


def test_a_part_names_what_it_lacks_and_what_is_old(spread: Desk) -> None:
    found = spread.finora.portfolio.allocation(spread.scope, Spread.TYPE, START + 90 * DAY)
    gaps = {each.key: each.gap for each in found.parts}
    assert gaps["currency"] is None
    assert "the price of" in str(gaps["crypto"])
    assert "no price" in str(gaps["security"]) and "GAP" in str(gaps["security"])
    assert found.of.coverage.value == "estimated"


def test_where_nothing_is_known_there_is_no_share(desk: Desk) -> None:
    one = thing(f"NONE-{desk.account.id.hex[-8:]}")
    assert desk.finora.portfolio.allocation(desk.scope).parts == []
    desk.trade(one, "1", "5", START)
    [part] = desk.finora.portfolio.allocation(desk.scope).parts
    assert (part.value, part.share_bp, len(part.unpriced)) == (None, None, 1)


def test_a_type_is_what_was_identified_else_what_the_id_says() -> None:
    for asset, kind in (
        ("EUR", AssetKind.CURRENCY), ("isin:IE00BK5BQT80", AssetKind.SECURITY),
        ("ticker:VWCE.DE", AssetKind.SECURITY), ("crypto:BTC", AssetKind.CRYPTO),
        ("eip155:1/erc20:0xdac17f958d2ee523a2206206994597c13d831ec7", AssetKind.CRYPTO),
        (f"own:{uuid4()}", AssetKind.OTHER), ("points:miles", AssetKind.OTHER),
    ):  # fmt: skip
        assert kind_of(asset) is kind, asset
    said = Identity(asset="ticker:GOLD", symbol="GOLD", kind=AssetKind.OTHER)
    assert kind_of(said.asset, said) is AssetKind.OTHER


@pytest.mark.spec("S0-54", partial=True)
def test_one_holding_day_by_day_is_what_valuations_say_of_it(desk: Desk, finora: Finora) -> None:
    one, other = (thing(f"{name}-{desk.account.id.hex[-8:]}") for name in ("ONE", "OTHER"))
    start = end_of(TODAY - 20 * DAY) - timedelta(hours=5)
    desk.trade(one, "3", "10", start)
    desk.trade(other, "3", "10", start - 5 * DAY)
    desk.price(one, "10", start + 2 * DAY)
    desk.trade(one, "-1", "12", start + 4 * DAY)
    desk.price(one, "12.345", start + 5 * DAY)
    desk.add(kind=ActivityKind.SPLIT, asset=one.id, at=start + 8 * DAY,
             quantity=Amount.parse("2", one))  # fmt: skip
    desk.add(kind=ActivityKind.DEPOSIT, asset="EUR", at=start + DAY,
             quantity=Amount.parse("5.00", EUR))  # fmt: skip
    finora.portfolio.include(desk.scope, desk.account.id, one.id, included=False)
    for asset in (one.id, "EUR"):
        days = finora.portfolio_history.of_holding(desk.scope, desk.account.id, asset)
        assert days[-1].figures.day == TODAY
        assert days[0].figures.day == (start if asset != "EUR" else start + DAY).date()
        for each in days:
            at = finora.portfolio.valuation(desk.scope, end_of(each.figures.day))
            [there] = [h for h in at.holdings if h.quantity.asset.id == asset]
            assert each.quantity == there.quantity
            figures = each.figures
            priced = there.value is not None and bool(there.quantity)
            assert (figures.priced, figures.stale) == (int(priced), int(there.stale and priced))
            assert figures.value.text == (there.value.text if there.value else "0.00")
            if asset != "EUR":
                assert (figures.cost, figures.realised) == (there.invested, there.realised)
    part = finora.portfolio_history.of_holding(
        desk.scope, desk.account.id, one.id, since=TODAY - 3 * DAY, until=TODAY - DAY
    )
    whole = finora.portfolio_history.of_holding(desk.scope, desk.account.id, one.id)
    assert list(part) == list(whole)[-4:-1]
    nothing = finora.portfolio_history.of_holding(desk.scope, desk.account.id, "USD")
    assert list(nothing) == []


def test_the_command_tells_both(settings: Any, finora: Finora, tmp_path: Path) -> None:
    def asked(*words: str) -> Any:
        done = CliRunner().invoke(command, [*words, "--data", str(settings.data), "--json"])
        return json.loads(done.stdout)

    def shown(*words: str) -> str:
        return CliRunner().invoke(command, [*words, "--data", str(settings.data)]).stdout

    name = f"ticker:CMD{uuid4().hex[-8:]}"
    given = ("--price", "10", "--at", "2026-01-05")
    [made] = asked("activity", "add", "buy", name, "3", *given)["activities"]
    [split] = asked("activity", "add", "split", name, "--ratio", "2:1", "--at", "2026-01-07")[
        "activities"
    ]
    assert split["quantity"]["amount"] == "3.00000000"
    part = next(each for each in asked("allocation")["parts"] if each["key"] == name)
    assert (part["value"], part["share_bp"], part["unpriced"]) == (None, None, 1)
    assert "no price" in shown("allocation", "--by", "account")
    assert asked("allocation", "--by", "colour")["error"]["code"] == "BAD_ACTIVITY"
    days = asked("holding", name, "--until", "2026-01-07")["days"]
    assert [each["quantity"]["amount"] for each in days] == [
        "3.00000000", "3.00000000", "6.00000000",
    ]  # fmt: skip
    assert days[0]["gap"] == "1 without a price"
    assert "2026-01-07" in shown("holding", name, "--since", "2026-01-07", "--account", "Main")
    assert asked("holding", name, "--account", "Nowhere")["error"]["code"] == "BAD_ACTIVITY"
    assert asked("activity", "add", "split", name, "--ratio", "2")["error"]["code"] == (
        "BAD_ACTIVITY"
    )
    for each in (split, made):
        asked("activity", "delete", each["id"])
