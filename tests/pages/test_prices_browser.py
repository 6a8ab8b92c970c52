"""The page of prices in headless Chromium. See `test_browser` for what fails it besides."""

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from desk import Desk
from finora import Asset, Finora, Scope
from finora_core.market.assets.model import AssetKind, Identity
from finora_core.market.prices.model import Price, midnight
from pages.conftest import Served, Visitor, sign_in
from pages.looks import FAINT, NAMELESS
from pages.test_browser import to

WIDTHS = (1280, 390)
TODAY = datetime.now(UTC).date()


def day_of(back: int) -> datetime:
    return midnight(TODAY - timedelta(days=back))


def told(books: Finora, scope: Scope) -> str:
    """A year of a coin's prices, of which a month is missing, a day was a hundred times as much and
    was mended, and one source said no more long ago; and what pretends to be it."""
    tag = uuid4().hex[:6].upper()
    coin = Asset(f"crypto:COIN{tag}", 18)
    for asset, symbol, names, scam in (
        (coin, f"COIN{tag}", {"coingecko": f"coin-{tag.lower()}", "defillama": "coin"}, 40),
        (Asset(f"eip155:1/erc20:0x{tag}", 18), f"C0IN{tag}", {}, 8_800),
    ):
        who = Identity(asset=asset.id, symbol=symbol, kind=AssetKind.CRYPTO, names=names,
                       title=f"Coin {tag}", scam=scam)  # fmt: skip
        books.assets.identify(scope, asset, who, source="test")

    def price(back: int, value: str, source: str, quote: str = "EUR") -> Price:
        return Price(asset=coin.id, quote=quote, at=day_of(back), value=Decimal(value),
                     source=source)  # fmt: skip

    course = [
        price(back, f"{100 + (back * 7919) % 40 - back // 9}.{back % 10}5", "coingecko")
        for back in range(365, -1, -1)
        if not 120 <= back < 150
    ]
    books.prices.add(scope, "coingecko", course)
    books.prices.add(scope, "coingecko", [price(80, "11234.5", "coingecko")])
    books.prices.add(scope, "coingecko", [price(80, "112.345", "coingecko")])
    books.prices.add(scope, "finnhub", [price(back, "99.5", "finnhub") for back in (300, 299)])
    books.prices.add(scope, "coingecko", [price(0, "130.25", "coingecko", "USD")])
    return tag


@pytest.mark.spec("S0-48", partial=True)
def test_what_is_known_of_an_asset_is_drawn_and_told(
    served: Served, visitor: Visitor, own: Scope
) -> None:
    books = served.books
    tag = told(books, own)
    desk = Desk(books, own, books.portfolio.open_account(own, "Main"), books._opened.database)
    for name, days in (("WORLD", 60), ("UNSEEN", 60)):
        share = Asset(f"ticker:{name}-{tag}", 8)
        desk.trade(share, "10", "100", day_of(days))
        if name == "WORLD":
            desk.price(share, "104.5", day_of(days))
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            page = sign_in(served, visitor(width, scheme), own)
            to(page, "/prices")
            expect(page.get_by_text(f"UNSEEN-{tag}")).to_be_visible()
            check(page, f"held-{scheme}-{width}")
            page.get_by_label("Asset", exact=True).fill(f"Coin {tag}")
            page.get_by_role("button", name="Search").click()
            found = page.get_by_role("list", name="Assets that were found")
            expect(found).to_contain_text(f"looks like crypto:COIN{tag}")
            check(page, f"found-{scheme}-{width}")
            found.get_by_role("link", name=f"COIN{tag}").click()
            page.get_by_role("link", name="EUR").click()
            expect(page.locator("[data-course] canvas")).to_be_visible()
            expect(page.get_by_role("list", name="Days without a price")).to_contain_text(" to ")
            sources = page.get_by_role("list", name="Sources")
            expect(sources).to_contain_text("1 corrected")
            expect(sources).to_contain_text(": old")
            mended = page.get_by_role("region", name="Every correction")
            expect(mended).to_contain_text("11234.5")
            expect(mended).to_contain_text("112.345")
            table = page.get_by_text("The same as a table")
            table.click()
            expect(page.get_by_role("region", name="Price by day")).to_contain_text("no price")
            table.click()
            check(page, f"one-{scheme}-{width}")


def check(page: Page, name: str) -> None:
    """Everything can be read and is named, nothing is wider than the window; and a picture for
    people to look at, where they asked."""
    assert page.evaluate(FAINT) == []
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if folder := os.environ.get("LOOK"):
        page.screenshot(path=Path(folder) / f"prices-{name}.png", full_page=True)
