"""The page of prices."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from desk import EUR, Desk
from finora import Asset, Finora, Scope
from finora_adapters.postgres.work import Postgres
from finora_core.market.assets.model import AssetKind, Identity
from finora_core.market.prices.model import Price, midnight

TODAY = datetime.now(UTC).date()


def said(
    finora: Finora, scope: Scope, asset: Asset, days: Iterable[int], value: str, source: str = "a"
) -> None:
    """A price of so many days ago each."""
    finora.ledger.register_asset(scope, asset)
    finora.prices.add(scope, source, [
        Price(asset=asset.id, quote="EUR", at=midnight(TODAY - timedelta(days=back)),
              value=Decimal(value), source=source)
        for back in days
    ])  # fmt: skip


@pytest.mark.spec("S0-47", partial=True)
def test_an_asset_is_found_with_what_is_thought_of_it(
    client: FlaskClient, finora: Finora, scope: Scope
) -> None:
    tag = uuid4().hex[:8].upper()
    real, fake = f"crypto:REAL{tag}", f"crypto:FAKE{tag}"
    for asset, symbol, names, scam in (
        (real, f"TOO{tag}", {"coingecko": f"too-{tag}"}, 100),
        (fake, f"T0O{tag}", {}, 6_200),
    ):
        who = Identity(asset=asset, symbol=symbol, kind=AssetKind.CRYPTO, title=f"Too of {tag}",
                       names=names, scam=scam)  # fmt: skip
        finora.assets.identify(scope, Asset(asset, 18), who, source="test")
    found = client.get(f"/prices?words=too of {tag}").text
    assert found.index(f"TOO{tag}") < found.index(f"T0O{tag}")
    assert f"looks like {real}" in found
    shown = client.get(f"/prices?asset={real}").text
    for word in ("counts", "probability of 1.00 %", f"too-{tag}", "Nobody said a price"):
        assert word in shown, word
    assert "set aside" in client.get(f"/prices?asset={fake}").text
    assert "Nothing is known by that name." in client.get("/prices?words=nothing-of-the-kind").text


@pytest.mark.spec("S0-48", partial=True)
def test_gaps_are_gaps_and_corrections_stand_beside_what_they_correct(
    client: FlaskClient, finora: Finora, scope: Scope
) -> None:
    asset = Asset(f"crypto:SEEN{uuid4().hex[:8]}", 18)
    said(finora, scope, asset, range(60, 30, -1), "10.50")
    said(finora, scope, asset, range(20, -1, -1), "11.25")
    said(finora, scope, asset, [40], "1050")
    said(finora, scope, asset, [40], "10.75")
    said(finora, scope, asset, [400], "9", source="older")
    page = client.get(f"/prices?asset={asset.id}")
    shown = page.text
    assert page.status_code == 200
    for word in ("<del>10.50</del>, <del>1050</del>", "10.75", "older", "1 corrected", "no price",
                 "51 since", "nobody", "not described"):  # fmt: skip
        assert word.lower() in shown.lower(), word
    first, last = (f"{TODAY - timedelta(days=back):%Y}" for back in (30, 21))
    assert first in shown and last in shown
    assert shown.count("null") >= 10
    assert "None" not in shown
    assert f"?asset={asset.id}" in client.get(f"/prices?words={asset.id}").text.replace("%3A", ":")
    assert client.get("/prices?asset=crypto:NOTHING").status_code == 400
    assert client.get(f"/prices?asset={asset.id}&span=2").status_code == 400


def test_it_begins_with_what_one_holds(
    client: FlaskClient, database: Postgres, finora: Finora, scope: Scope
) -> None:
    assert "Nothing is held" in client.get("/prices").text
    desk = Desk(finora, scope, finora.portfolio.open_account(scope, "Main"), database)
    tag = desk.account.id.hex[-8:]
    at = datetime.now(UTC) - timedelta(days=60)
    for name in ("OLD", "UNSEEN"):
        desk.trade(Asset(f"ticker:{name}-{tag}", 8), "2", "100", at, EUR)
    desk.price(Asset(f"ticker:OLD-{tag}", 8), "123.45", at)
    shown = client.get("/prices").text
    for word in (f"OLD-{tag}", "123.45 EUR", ": old", f"UNSEEN-{tag}", "no price"):
        assert word in shown, word
