"""The pages of the books in headless Chromium: looked at from the overview down to a line, and
changed in place. See `test_browser` for what fails each of these tests besides."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from finora import Scope
from finora_core.insights.model import months_after
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import currency
from finora_core.records.model import NewRecord
from pages.conftest import Served, Visitor, sign_in
from pages.looks import FAINT, NAMELESS
from pages.test_browser import to

TODAY = datetime.now(UTC).date()
FIRST = TODAY.replace(day=1)
EUR = currency("EUR")
PAGES = [
    "/",
    "/records",
    "/explain?asset=EUR",
    "/budgets",
    "/goals",
    "/recurring",
    "/forecast",
    "/portfolio",
    "/prices",
    "/rules",
    "/rules/new",
    "/review",
    "/reports",
    "/reports?kind=balance_sheet",
    "/reports?kind=cash_flow",
    "/reports/files",
    "/reports/closing",
]


@pytest.fixture
def household(served: Served, own: Scope) -> Scope:
    """Six months of somebody's money."""
    books = served.books
    account = books.ledger.open_account(own, "Giro").id

    def put(day: date, amount: str, text: str, category: str = "") -> None:
        new = NewRecord(account_id=account, on_date=day, amount=Amount.parse(amount, EUR),
                        description=text, category=category)  # fmt: skip
        books.records.create(own, new)

    for back in range(6):
        first = months_after(FIRST, -back)
        put(first, "2000.00", "Wages", "Income:Wages")
        put(first, "-700.00", "Rent", "Home:Rent")
        put(first, "-12.99", "Music for all", "Fun")
        put(first, "-31.00", "Market", "Food:Market")
        put(first, "-9.00", "Dinner", "Food:Out")
    put(TODAY, "-3.00", "A card payment nobody knows")
    return own


@pytest.fixture
def page(served: Served, visitor: Visitor, household: Scope) -> Page:
    return sign_in(served, visitor(), household)


def test_from_the_picture_down_to_the_line(page: Page) -> None:
    spending = page.locator("#spending")
    expect(spending.locator("circle")).to_have_count(4)
    spending.get_by_role("link", name="Food", exact=True).click()
    expect(spending.get_by_role("link", name="Food:Market")).to_be_visible()
    expect(spending.locator(".ring")).to_contain_text("−40.00")
    spending.get_by_role("link", name="Food:Market").click()
    expect(spending).to_contain_text("Market")
    expect(spending.locator("circle")).to_have_count(0)
    spending.get_by_role("link", name="Food", exact=True).click()
    spending.get_by_role("link", name="−40.00").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("−40.00 EUR")
    page.get_by_role("link", name="−31.00").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("−31.00 EUR")
    page.get_by_role("link", name="−31.00").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Entry of")
    expect(page.locator("main")).to_contain_text("Food:Market")


def test_another_month_is_chosen(page: Page) -> None:
    earlier = months_after(FIRST, -2)
    page.locator("#month").select_option(f"{earlier:%Y-%m}")
    expect(page.locator("#spending circle")).to_have_count(3)
    expect(page.locator("#spending .ring")).to_contain_text("−752.99")


def test_it_works_without_script(served: Served, visitor: Visitor, household: Scope) -> None:
    visit = visitor()
    plain = visit.context.browser
    assert plain
    context = plain.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{served.origin}/?token={served.token(household)}")
    page.locator("#spending").get_by_role("link", name="Food", exact=True).click()
    page.locator("#spending").get_by_role("link", name="Food:Out").click()
    expect(page.locator("#spending")).to_contain_text("Dinner")
    page.get_by_role("link", name="Plan").click()
    page.get_by_label("Category").fill("Food")
    page.get_by_label("Limit").fill("50")
    page.get_by_role("button", name="Set the budget").click()
    expect(page.locator(".note.good")).to_have_text("The budget is set.")
    page.get_by_role("link", name="Food", exact=True).click()
    page.get_by_label("Per cent").fill("20")
    page.get_by_role("button", name="Try").click()
    expect(page.locator("#simulation")).to_contain_text("60.00")
    context.close()


def test_a_budget_is_tried_while_typing(page: Page) -> None:
    to(page, "/budgets")
    page.get_by_label("Category").fill("Food")
    page.get_by_label("Limit").fill("50")
    page.keyboard.press("Enter")
    expect(page.locator(".note.good")).to_have_text("The budget is set.")
    page.get_by_role("link", name="Food", exact=True).click()
    page.get_by_label("Per cent").fill("-10")
    expect(page.locator("#simulation")).to_contain_text("45.00")
    page.get_by_label("Per cent").fill("100")
    expect(page.locator("#simulation")).to_contain_text("100.00")


def test_a_goal_is_made_of_an_account_and_recurring_payments_are_judged(page: Page) -> None:
    to(page, "/goals")
    page.get_by_label("Name").fill("Boat")
    page.get_by_label("Target").fill("50000")
    page.get_by_label("Giro").fill("50")
    page.get_by_role("button", name="Set the goal").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Boat")
    expect(page.locator("#shares")).to_contain_text("50 %")
    page.get_by_role("link", name="Recurring").click()
    page.get_by_role("button", name="Confirm RENT").click()
    expect(page.locator("li", has_text="RENT")).to_contain_text("confirmed")
    page.get_by_role("button", name="Ignore MARKET").click()
    expect(page.locator("main")).not_to_contain_text("MARKET")


def test_a_rule_shows_its_effect_while_it_is_typed(page: Page) -> None:
    to(page, "/rules")
    page.get_by_role("link", name="Write the first one").click()
    preview = page.locator("#preview")
    page.get_by_label("With what", exact=True).fill("music")
    page.get_by_label("With what words").fill("Fun:Music")
    expect(preview).to_contain_text("0 of 31 records would change; 6 fit; 6 stay")
    page.get_by_label("With what", exact=True).fill("card payment")
    expect(preview).to_contain_text("1 of 31 records would change")
    expect(preview.locator("ins")).to_have_text("Fun:Music")
    page.get_by_label("How it is compared").select_option("gt")
    expect(preview).to_contain_text("cannot be asked")
    page.get_by_label("How it is compared").select_option("contains")
    page.get_by_role("button", name="Add a test").click()
    expect(page.get_by_label("With what", exact=True)).to_have_count(2)
    expect(page.get_by_label("With what words")).to_have_value("Fun:Music")
    page.get_by_label("With what words").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".note.good")).to_contain_text("The rule is kept")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#run")).to_contain_text("It is done", timeout=30_000)
    expect(page.locator("#run ins")).to_have_text("Fun:Music")
    page.get_by_role("button", name="Undo the run").click()
    expect(page.locator("#run")).to_contain_text("It was undone", timeout=30_000)


def test_category_and_note_are_changed_in_place(page: Page) -> None:
    to(page, "/records")
    row = page.locator("#records tbody tr", has_text="nobody knows")
    row.get_by_label("Note: none. Change").click()
    row.get_by_label("Note", exact=True).fill("Ask at home")
    page.keyboard.press("Enter")
    expect(row.get_by_label("Note: Ask at home. Change")).to_be_focused()
    row.get_by_label("Category: none. Change").click()
    expect(page.locator("#known option")).not_to_have_count(0)
    row.get_by_label("Category", exact=True).fill("Fun")
    page.keyboard.press("Enter")
    expect(row.locator(".inline")).to_have_text("Fun")
    row.get_by_role("link").click()
    expect(page.locator("main")).to_contain_text("by a person")


def test_the_month_is_closed_and_stays_as_it_is(
    served: Served, visitor: Visitor, household: Scope
) -> None:
    visit = visitor()
    visit.refused.add(409)
    page = sign_in(served, visit, household)
    to(page, "/reports/closing")
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".note.good")).to_contain_text("The books are closed")
    earlier = months_after(FIRST, -1)
    last = FIRST - timedelta(days=1)
    to(page, f"/reports?since={earlier}&until={last}")
    page.get_by_role("row", name="Food").first.get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("−40.00 EUR")
    to(page, f"/records?since={earlier}&until={last}&text=market")
    page.locator("#records .inline").first.click()
    page.locator("#records").get_by_label("Category", exact=True).fill("Elsewhere")
    page.keyboard.press("Enter")
    expect(page.locator("#records [role=alert]")).to_contain_text("closed")


def test_the_queue_is_worked_off_by_keys(served: Served, visitor: Visitor, own: Scope) -> None:
    books = served.books
    account = books.ledger.open_account(own, "Giro").id
    for number, name in enumerate(("Kiosk", "Kiosk", "Baker", "Tram"), 1):
        new = NewRecord(
            account_id=account,
            on_date=date(2026, 3, number),
            description=f"No {number}",
            counterparty=name,
            amount=Amount(-100 * number, EUR),
        )
        books.records.create(own, new)
    visit = visitor()
    visit.refused.add(409)
    page = sign_in(served, visit, own)
    line = page.locator("#queue > li")
    for _ in range(60):
        to(page, "/review")
        if line.count() == 4:
            break
        page.wait_for_timeout(500)
    expect(line).to_have_count(4)
    page.keyboard.press("j")
    expect(line.nth(0)).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(line.nth(0)).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_text("take back what was just said")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_text("take back what was just said")).to_be_hidden()
    page.keyboard.press("j")
    page.keyboard.press("o")
    page.keyboard.type("Snacks")
    page.keyboard.press("Enter")
    done = page.locator("#queue > li", has=page.locator(".reviewed"))
    expect(done).to_contain_text("The category is changed.")
    expect(page.locator("#said")).to_contain_text("The category is changed.")
    expect(page.locator("#queue > li:focus .waiting")).to_be_visible()
    page.keyboard.press("r")
    expect(done).to_contain_text("the rule is made")
    page.keyboard.press("u")
    expect(page.locator("#queue > li:focus")).to_contain_text("it is as it was")
    expect(page.locator("#said")).to_contain_text("it is as it was")
    expect(done).to_have_count(0)
    page.keyboard.press("o")
    page.keyboard.press("Escape")
    expect(page.locator("#queue > li:focus")).to_have_count(1)
    page.keyboard.press("x")
    expect(page.locator(".tick input:checked")).to_have_count(1)
    assert len(books.rules.list(own).items) == 1


@pytest.fixture
def both(household: Scope, served: Served) -> Iterator[tuple[Scope, Scope]]:
    """Full books and empty ones."""
    yield household, served.scope()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_every_page_fits_and_is_legible(
    served: Served, visitor: Visitor, both: tuple[Scope, Scope], width: int, scheme: str
) -> None:
    for scope in both:
        page = sign_in(served, visitor(width, scheme), scope)
        for path in PAGES:
            to(page, path)
            assert page.evaluate(FAINT) == [], path
            assert page.evaluate(NAMELESS) == [], path
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert page.locator("h1").count() == 1 and page.locator("main").count() == 1, path
            assert not re.search(r"\bNone\b|Undefined", page.locator("main").inner_text()), path
