"""The page of the portfolio in headless Chromium. See `test_browser` for what fails it besides."""

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from desk import EUR, Desk, thing
from finora import Amount, Scope
from finora_core.portfolio.model import ActivityKind
from pages.conftest import Served, Visitor, sign_in
from pages.looks import FAINT, NAMELESS
from pages.test_browser import to

WIDTHS = (1280, 390)


@pytest.fixture
def desk(served: Served, own: Scope) -> Desk:
    books = served.books
    account = books.portfolio.open_account(own, "Main", "degiro")
    return Desk(books, own, account, books._opened.database)


def held(desk: Desk) -> None:
    """A year: two shares, of which one has no price for a while, and a thing of one's own."""
    tag = desk.account.id.hex[-8:]
    one, late = thing(f"WORLD-{tag}"), thing(f"LATE-{tag}")
    start = datetime.now(UTC) - timedelta(days=360)
    desk.trade(one, "10", "100", start, fee="2.00")
    desk.trade(late, "5", "80", start + timedelta(days=120))
    for week in range(0, 52, 2):
        at = start + timedelta(weeks=week)
        desk.price(one, str(Decimal(100) + week * Decimal("0.7") - week % 6), at)
        if week > 34:
            desk.price(late, str(80 + week % 7), at)
    flat = desk.finora.portfolio.add_own(desk.scope, "Share of a boat", "EUR")
    desk.trade(flat.asset, "1", "500", start + timedelta(days=200))
    desk.finora.portfolio.set_price(desk.scope, flat.asset.id, Decimal(520), at=start)
    desk.add(kind=ActivityKind.DEPOSIT, asset="EUR", at=start,
             quantity=Amount.parse("250.00", EUR))  # fmt: skip
    desk.finora.run_jobs()
    desk.finora.portfolio_history.rebuild(desk.scope)


def test_the_course_is_drawn_and_told(
    served: Served, visitor: Visitor, own: Scope, desk: Desk
) -> None:
    empty = sign_in(served, visitor(), own)
    to(empty, "/portfolio")
    expect(empty.get_by_text("Nothing is held yet.")).to_be_visible()
    look(empty, "empty")
    held(desk)
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            page = sign_in(served, visitor(width, scheme), own)
            to(page, "/portfolio")
            expect(page.locator("[data-course] canvas")).to_be_visible()
            expect(page.locator(".legend.course")).to_contain_text(
                "2,505.00 EUR, some prices are old"
            )
            expect(page.get_by_role("region", name="Every holding")).to_contain_text(
                "Share of a boat"
            )
            table = page.get_by_text("The same as a table").first
            table.click()
            expect(page.get_by_role("region", name="Value by day")).to_contain_text("no price")
            table.click()
            if width == 1280 and scheme == "light":
                one = page.get_by_role("region", name="Every holding").get_by_role("link").first
                one.click()
                expect(page.locator("#course-of-one [data-course] canvas")).to_be_visible()
                expect(page.locator("#course-of-one .legend.course")).to_contain_text("EUR")
                page.get_by_role("navigation", name="By").get_by_text("Type").click()
                expect(page.get_by_role("list", name="What is where")).to_contain_text("Securities")
            assert page.evaluate(FAINT) == []
            assert page.evaluate(NAMELESS) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            look(page, f"{scheme}-{width}")


def look(page: Page, name: str) -> None:
    """For people to look at, where they asked."""
    if folder := os.environ.get("LOOK"):
        page.screenshot(path=Path(folder) / f"portfolio-{name}.png", full_page=True)
