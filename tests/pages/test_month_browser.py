"""A business of three people works a month through, in headless Chromium against the real server
and worker. What goes wrong in one of their browsers fails the test: see `visitor`."""

import html
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from pages.conftest import Served
from pages.letters import letter
from pages.test_account_browser import Member, from_menu, press
from pages.test_account_browser import member as member
from pages.test_browser import put, to
from pages.test_explain import cents, figures, headline
from shared_data import SHARED, needs_shared

BANK = SHARED / "bank/csv/austrian/easybank-giro.csv"
OTHER = SHARED / "bank/camt053/viafintech-valid_example.xml"
MONTH = "since=2014-01-01&until=2014-01-31"


def joins(served: Served, owner: Page, name: str, member: Member) -> Page:
    """Somebody signs up, is invited as an accountant by the owner, and accepts."""
    visit, page, email = member(name)
    visit.refused.add(409)  # What is closed is tried, too.
    owner.goto(f"{served.origin}/account/members")
    owner.get_by_label("E-mail address").fill(email)
    owner.get_by_role("combobox", name="Role", exact=True).select_option("accountant")
    press(owner, "Send the invitation")
    expect(owner.get_by_text(email)).to_be_visible()
    page.goto(served.origin + letter(served.mail, email, "Invitation to Acme").path)
    press(page, "Accept")
    expect(page.locator(".menu summary")).to_contain_text("Acme")
    return page


def every_figure_is_explained(page: Page, path: str, seen: set[tuple[str, str]]) -> int:
    """Each linked figure answers, says the same again, and is the sum of its parts, down to the
    entries. How many the page has."""
    origin = "/".join(page.url.split("/")[:3])

    def shown(address: str) -> str:
        answer = page.request.get(origin + address)
        assert answer.status == 200, address
        return answer.text()

    first = figures(shown(path))
    found = list(first)
    while found:
        href, said = found.pop()
        if (href, said) in seen or href.startswith("#"):
            continue
        seen.add((href, said))
        answer = shown(href)
        if href.startswith("/explain/entries/"):
            assert said.lstrip("+\N{MINUS SIGN}") in answer, (path, href)
            continue
        assert headline(answer) == said, (path, href)
        parts = figures(answer)
        while more := re.search(r'hx-get="(/explain[^"]+)"', answer):
            answer = shown(html.unescape(more[1]))
            parts += figures(answer)
        assert sum(cents(each) for _, each in parts) == cents(said), (path, href)
        found += parts
    return len(first)


@needs_shared
@pytest.mark.spec("S3-30", partial=True)
@pytest.mark.spec("S3-33", partial=True)
def test_three_people_work_a_month_through(served: Served, member: Member, tmp_path: Path) -> None:
    _, owner, _ = member("Ada")
    from_menu(owner, "link", "Books and members")
    owner.get_by_label("Name").first.fill("Acme")
    press(owner, "Begin")
    expect(owner.get_by_text("These are your new books.")).to_be_visible()
    keeper = joins(served, owner, "Ben", member)
    reviewer = joins(served, owner, "Cleo", member)

    # The bookkeeper brings the files in, and writes a rule for what comes every month.
    to(keeper, "/")
    put(keeper, BANK, OTHER)
    expect(keeper.locator("#imports")).not_to_contain_text("failed")
    to(keeper, "/rules/new")
    keeper.get_by_label("With what", exact=True).fill("amazon")
    keeper.get_by_label("With what words").fill("Office:Supplies")
    expect(keeper.locator("#preview")).to_contain_text("1 of")
    keeper.get_by_label("With what words").focus()
    keeper.keyboard.press("Enter")
    expect(keeper.locator(".note.good")).to_contain_text("The rule is kept")
    keeper.get_by_role("button", name="Run", exact=True).click()
    expect(keeper.locator("#run")).to_contain_text("It is done", timeout=60_000)
    expect(keeper.locator("#run ins")).to_have_text("Office:Supplies")

    # The reviewer says what the rest is, by keys alone, and of one what it always is.
    line = reviewer.locator("#queue > li")
    for _ in range(120):
        to(reviewer, "/review")
        if line.count() >= 12:
            break
        reviewer.wait_for_timeout(500)
    waiting = line.count()
    assert waiting >= 12
    done = reviewer.locator("#queue > li .reviewed")
    reviewer.keyboard.press("j")
    for number in range(waiting):
        expect(reviewer.locator("#queue > li:focus .waiting")).to_be_visible()
        reviewer.keyboard.press("o")
        reviewer.keyboard.type("Bank:Interest" if number % 3 else "Travel")
        reviewer.keyboard.press("Enter")
        expect(done).to_have_count(number + 1)
        if number == 0:
            reviewer.keyboard.press("r")
            expect(done.first).to_contain_text("the rule is made")
    to(reviewer, "/review")
    expect(reviewer.locator("main")).to_contain_text("Nothing waits for you")
    to(keeper, "/rules")
    expect(keeper.locator(".rules > li")).to_have_count(2)

    # The owner closes the month, which nobody can change from then on, and has its report made.
    to(owner, "/reports/closing")
    owner.get_by_label("Close through").fill("2014-01-31")
    owner.get_by_role("button", name="Close", exact=True).click()
    expect(owner.locator(".note.good")).to_contain_text("The books are closed")
    to(keeper, f"/records?{MONTH}&text=amazon")
    keeper.locator("#records .inline").first.click()
    keeper.locator("#records").get_by_label("Category", exact=True).fill("Elsewhere")
    keeper.keyboard.press("Enter")
    expect(keeper.locator("#records [role=alert]")).to_contain_text("closed")
    to(owner, "/reports/files")
    owner.get_by_label("Of", exact=True).select_option("profit_and_loss")
    owner.get_by_label("As", exact=True).select_option("csv")
    owner.get_by_label("From", exact=True).fill("2014-01-01")
    owner.get_by_label("To", exact=True).fill("2014-01-31")
    press(owner, "Make the file")
    download = owner.get_by_role("link", name="Download")
    expect(download).to_be_visible(timeout=60_000)
    with owner.expect_download() as made:
        download.click()
    made.value.save_as(tmp_path / "report.zip")
    with zipfile.ZipFile(tmp_path / "report.zip") as report:
        text = "".join(report.read(name).decode() for name in report.namelist())
    assert "Office:Supplies" in text and "-32.00" in text

    # And every figure is explained.
    seen: set[tuple[str, str]] = set()
    for path in (
        "/",
        f"/reports?{MONTH}",
        "/reports?kind=balance_sheet&until=2014-01-31",
        f"/reports?kind=cash_flow&{MONTH}",
    ):
        assert every_figure_is_explained(reviewer, path, seen) >= 3, path
    assert len(seen) > 30
