"""The dashboard in headless Chromium, against the real server and worker. What goes wrong in the
browser (an error in its console, a refused style or script, a request to another host) fails each
of these tests: see `visitor`."""

import json
import re
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from finora import Scope
from finora_core.jobs.model import JobState
from finora_web.gate import COOKIE
from pages.conftest import Served, Visitor, sign_in
from pages.looks import FAINT, NAMELESS
from shared_data import SHARED, needs_shared

HOUSEHOLD = Path(__file__).parents[2] / "src/finora/demo"
GIRO, CARD = HOUSEHOLD / "giro-jan-mar.xml", HOUSEHOLD / "card-jan-apr.ofx"


def put(page: Page, *files: Path) -> None:
    """Choose the files, and wait for the end of the last one's job."""
    page.set_input_files("#files", list(files))
    for file in files:
        line = page.locator("#imports > li", has_text=file.name)
        expect(line.locator("[data-over]")).to_be_visible(timeout=30_000)


def to(page: Page, path: str) -> None:
    page.goto("/".join(page.url.split("/")[:3]) + path)


def asked_of(served: Served, token: str, path: str) -> dict:
    request = urllib.request.Request(
        served.origin + path, headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


# --- in and out ----------------------------------------------------------------------------------


def test_the_printed_address_signs_in(served: Served, visitor: Visitor) -> None:
    visit = visitor()
    page = visit.page()
    page.goto(served.address)
    assert page.url == f"{served.origin}/"
    cookie = next(each for each in visit.context.cookies() if each["name"] == COOKIE)
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    assert COOKIE not in page.evaluate("document.cookie")


def test_a_token_is_pasted_and_put_away(served: Served, visitor: Visitor, own: Scope) -> None:
    visit = visitor()
    page = visit.page()
    page.goto(f"{served.origin}/")
    assert page.url == f"{served.origin}/sign-in"
    page.get_by_text("Sign in with a token").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Token", exact=True)).to_be_focused()
    page.keyboard.type(served.token(own))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your books are empty")).to_be_visible()
    assert page.url == f"{served.origin}/"
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out")).to_be_visible()
    assert visit.context.cookies() == []
    page.goto(f"{served.origin}/")
    assert page.url == f"{served.origin}/sign-in"


# --- importing -----------------------------------------------------------------------------------


@needs_shared
@pytest.mark.spec("S2-18", partial=True)
@pytest.mark.spec("S2-20", partial=True)
def test_two_statements_are_imported_and_seen(served: Served, visitor: Visitor, own: Scope) -> None:
    """Statements of a Brazilian card and an Austrian account, chosen together."""
    visit = visitor()
    page = sign_in(served, visit, own)
    files = [SHARED / "bank/ofx/br_nubank_cc.ofx", SHARED / "bank/ofx/bank_medium.ofx"]
    put(page, *files)
    token = served.token(own)
    done = asked_of(served, token, "/api/v1/jobs?state=done")["data"]
    done = [job for job in done if job["name"] == "records.import"]
    assert len(done) == 2
    for job in done:
        result = job["result"]
        line = page.locator("#imports > li", has_text=result["file"])
        expect(line).to_contain_text("imported")
        counts = re.sub(r"\s+", " ", line.locator(".counts").inner_text())
        assert f"read {result['read']}" in counts or f"{result['read']} read" in counts
        assert result["added"] > 0 and str(result["added"]) in counts
    assert sum(said.startswith("GET /parts/jobs/") for said in visit.asked) > 2
    records = asked_of(served, token, "/api/v1/records")["data"]
    first = records[0]
    expect(page.locator("#records tbody tr")).to_have_count(min(10, len(records)))
    row = page.locator("#records tbody tr").first
    expect(row).to_contain_text(first["description"] or first["counterparty"])
    expect(row).to_contain_text(first["amount"]["amount"].lstrip("-"))
    held = asked_of(served, token, "/api/v1/wallet/summary")["data"]["balances"]
    worth = page.locator("section", has=page.get_by_role("heading", name="Net worth"))
    for balance in held:
        expect(worth).to_contain_text(balance["asset"])
    sees_a_picture(page)
    page.get_by_role("link", name="Records", exact=True).click()
    expect(page.locator("#records tbody tr:not(.more)")).to_have_count(len(records))
    expect(page.locator("#account option")).to_have_count(3)


def sees_a_picture(page: Page) -> None:
    """It has more than its ground."""
    page.wait_for_function(
        """() => {
          const canvas = document.querySelector(".chart canvas");
          if (!canvas?.width) return false;
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const seen = new Set();
          for (let at = 0; at < data.length; at += 4)
            if (data[at + 3] > 200) seen.add(data.slice(at, at + 3).join());
          return seen.size > 3;
        }"""
    )


def test_a_file_is_dropped(page: Page) -> None:
    page.evaluate(
        """(text) => {
          const brought = new DataTransfer();
          brought.items.add(new File([text], "dropped.xml", { type: "text/xml" }));
          const send = (kind) => document.querySelector("#drop").dispatchEvent(
            new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: brought }));
          send("dragenter"); send("dragover");
          if (!document.body.classList.contains("dragging")) throw new Error("not lit");
          send("drop");
          if (document.body.classList.contains("dragging")) throw new Error("still lit");
        }""",
        GIRO.read_text(),
    )
    line = page.locator("#imports > li", has_text="dropped.xml")
    expect(line).to_contain_text("imported", timeout=30_000)
    expect(page.locator("#said")).to_contain_text("dropped.xml imported")
    expect(page.locator("#records tbody tr")).to_have_count(10)


def test_the_same_file_again_adds_nothing(page: Page) -> None:
    put(page, GIRO)
    page.reload()
    put(page, GIRO)
    counts = page.locator("#imports .counts")
    expect(counts).to_contain_text(re.compile(r"read\s*27\s*added\s*0\s*already there\s*27"))


def test_a_file_without_an_account_is_asked_for_it(served: Served, page: Page, own: Scope) -> None:
    savings = HOUSEHOLD / "savings.csv"
    put(page, savings)
    line = page.locator("#imports > li")
    expect(line).to_contain_text("ACCOUNT_NEEDED")
    line.get_by_label("Account").fill("Savings")
    line.get_by_label("Currency").fill("EUR")
    line.get_by_role("button", name="Import").click()
    expect(line).to_contain_text("imported", timeout=30_000)
    expect(page.locator("#summary")).to_contain_text("Savings")
    # The question was answered: nothing of it is left to attend to.
    page.reload()
    expect(page.get_by_text("Needs your attention")).to_have_count(0)
    refused = served.books.jobs.list(own, state=JobState.REFUSED).items
    assert [job.dismissed_at is not None for job in refused] == [True]


def test_both_readings_of_a_file_are_shown(page: Page, tmp_path: Path) -> None:
    odd = tmp_path / "odd.csv"
    odd.write_text("Datum,Betrag,Text\n03/04/2026,-12.00,Laden\n05/06/2026,7.00,Zurueck\n")
    put(page, odd)
    line = page.locator("#imports > li")
    expect(line.locator(".readings form")).to_have_count(2)
    expect(line).to_contain_text("3 Apr 2026")
    reading = line.locator(".readings form", has_text="4 Mar 2026")
    reading.get_by_role("button", name="Read it this way").click()
    # What was answered is kept for the next question.
    expect(line).to_contain_text("ACCOUNT_NEEDED", timeout=30_000)
    line.get_by_label("Account").fill("Cash")
    line.get_by_label("Currency").fill("EUR")
    line.get_by_role("button", name="Import").click()
    expect(line).to_contain_text("imported", timeout=30_000)
    expect(page.locator("#records")).to_contain_text("4 Mar 2026")


def test_a_refusal_says_what_and_stays_until_dismissed(page: Page) -> None:
    put(page, Path(__file__))
    line = page.locator("#imports > li")
    expect(line).to_contain_text("UNKNOWN_FORMAT")
    page.reload()
    failed = page.locator("#failed")
    expect(failed).to_contain_text("UNKNOWN_FORMAT")
    failed.get_by_role("button", name="Dismiss").click()
    expect(failed).to_be_hidden()
    page.reload()
    expect(page.locator("#failed")).to_have_count(0)


def test_a_file_that_is_not_taken_can_be_sent_again(
    served: Served, visitor: Visitor, own: Scope
) -> None:
    visit = visitor()
    page = sign_in(served, visit, own)
    too_large = {"code": "FILE_TOO_LARGE", "message": "the file is too large"}
    too_large |= {"details": [{"path": "file", "msg": "9 MB; at most 8"}]}
    refusal = json.dumps({"success": False, "error": too_large})
    page.route("**/api/v1/imports*", lambda route: route.fulfill(status=413, body=refusal))
    page.set_input_files("#files", [GIRO])
    line = page.locator("#imports > li")
    expect(line).to_contain_text("FILE_TOO_LARGE")
    expect(line).to_contain_text("9 MB; at most 8")
    page.unroute("**/api/v1/imports*")
    line.get_by_role("button", name="Try again").click()
    expect(line).to_contain_text("imported", timeout=30_000)
    assert [problem for problem in visit.wrong if "413" not in problem] == []
    visit.wrong.clear()


# --- records -------------------------------------------------------------------------------------


def test_records_are_found_and_more_are_shown(page: Page) -> None:
    put(page, GIRO, CARD, HOUSEHOLD / "giro-mar-jun.sta")
    to(page, "/records")
    rows = page.locator("#records tbody tr:not(.more)")
    expect(rows).to_have_count(50)
    page.get_by_role("button", name="Show more").click()
    expect(rows.nth(50)).to_be_focused()
    assert rows.count() > 50
    page.get_by_label("Text").fill("salary")
    expect(page.locator("#records tbody tr").first).to_contain_text("Salary")
    expect(page).to_have_url(re.compile("text=salary"))
    found = rows.count()
    assert 0 < found < 50
    page.reload()
    expect(page.get_by_label("Text")).to_have_value("salary")
    expect(rows).to_have_count(found)
    page.get_by_label("Text").fill("no such thing")
    expect(page.get_by_text("No record fits")).to_be_visible()


def test_everything_is_done_by_keyboard(page: Page) -> None:
    put(page, GIRO)
    expect(page.locator("#records tbody tr")).to_have_count(10)
    page.reload()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    seen: list[str] = []
    for _ in range(120):
        page.keyboard.press("Tab")
        at = page.evaluate(
            """() => {
              const at = document.activeElement;
              // The file field is unseen; the button that stands for it shows the focus.
              const shown = at.id === "files" ? document.querySelector(".drop .button") : at;
              const style = getComputedStyle(shown);
              return [at.id || at.textContent.trim(), style.outlineStyle, style.outlineWidth];
            }"""
        )
        assert at[1:] == ["solid", "2px"] or at[1] == "auto", at
        seen.append(at[0])
        if at[0] == "Add category":
            break
    assert [
        each for each in ("Settings", "files", "month", "All records") if each not in seen
    ] == []
    page.keyboard.press("Enter")
    typed = page.locator("#records .inline-form input")
    expect(typed).to_be_focused()
    page.keyboard.press("Escape")
    cell = page.locator("#records tbody tr").first.locator("button.inline")
    expect(cell).to_be_focused()
    page.keyboard.press("Enter")
    expect(typed).to_be_focused()
    page.keyboard.type("Household")
    page.keyboard.press("Enter")
    expect(cell).to_have_text("Household")
    expect(cell).to_be_focused()
    page.reload()
    expect(cell).to_have_text("Household")


# --- looks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_it_fits_and_is_legible(
    served: Served, visitor: Visitor, own: Scope, width: int, scheme: str
) -> None:
    page = sign_in(served, visitor(width, scheme), own)
    put(page, GIRO, Path(__file__))
    for path in ("/", "/settings", "/docs", "/sign-in", "/records?text=none"):
        page.goto(served.origin + path)
        assert page.evaluate(FAINT) == [], path
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, path


def test_every_part_has_a_name(page: Page) -> None:
    """Landmarks, one first heading a page, a label for each field, a name for each button."""
    put(page, GIRO)
    for path in ("/", "/records", "/settings", "/docs"):
        page.goto(page.url.partition("?")[0].rpartition("/")[0].rstrip("/") + path)
        assert page.locator("main").count() == 1 and page.locator("h1").count() == 1
        nameless = page.evaluate(NAMELESS)
        assert nameless == [], path
