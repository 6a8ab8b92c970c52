"""Signing up and in, and the account, in headless Chromium against the real server and worker. What
goes wrong in the browser fails each of these tests: see `visitor`."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import uuid4

import pyotp
import pytest
from playwright.sync_api import CDPSession, Page, expect

from finora_web.gate import COOKIE, DEVICE_COOKIE
from pages.conftest import Served, Visit, Visitor
from pages.letters import Letter, letter
from pages.looks import FAINT, NAMELESS

PASSWORD = "correct horse battery"


def an_address(name: str) -> str:
    return f"{name}-{uuid4().hex[:12]}@example.org"


def fill_in(page: Page, **fields: str) -> None:
    for name, value in fields.items():
        page.fill(f"#{name}", value)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def sign_up(page: Page, origin: str, email: str, name: str) -> None:
    page.goto(f"{origin}/sign-up")
    fill_in(page, name=name, email=email, password=PASSWORD)
    press(page, "Sign up")
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()


def verify(page: Page, served: Served, origin: str, email: str) -> None:
    page.goto(origin + letter(served.mail, email, "Confirm").path)
    fill_in(page, password=PASSWORD)
    press(page, "Confirm this address")
    expect(page.get_by_role("heading", name="Your address is verified")).to_be_visible()


def sign_in(page: Page, origin: str, email: str, password: str = PASSWORD) -> None:
    page.goto(f"{origin}/sign-in")
    fill_in(page, email=email, password=password)
    press(page, "Sign in")


def from_menu(page: Page, role: Literal["button", "link"], name: str) -> None:
    page.locator(".menu summary").click()
    page.locator(".menu .panel").get_by_role(role, name=name).click()


def sign_out(page: Page) -> None:
    from_menu(page, "button", "Sign out")
    expect(page.get_by_text("You are signed out.")).to_be_visible()


@pytest.fixture
def member(served: Served, visitor: Visitor) -> Callable[..., tuple[Visit, Page, str]]:
    """Somebody who signed up, verified the address and signed in, with a browser."""

    def make(name: str = "Ada", *, origin: str = "", width: int = 1400, scheme: str = "light"):
        visit, email = visitor(width, scheme), an_address(name.split()[0].lower())
        page, origin = visit.page(), origin or served.origin
        sign_up(page, origin, email, name)
        verify(page, served, origin, email)
        sign_in(page, origin, email)
        expect(page).to_have_url(f"{origin}/")
        return visit, page, email

    return make


Member = Callable[..., tuple[Visit, Page, str]]


# --- in and out ----------------------------------------------------------------------------------


@pytest.mark.spec("S2-9", partial=True)
@pytest.mark.spec("S2-11", partial=True)
@pytest.mark.spec("S0-65", partial=True)
def test_from_signing_up_to_a_passkey(served: Served, visitor: Visitor) -> None:
    """Sign up, letter, verify, sign in, add a passkey, sign out, sign in with it; and remove it."""
    visit, email = visitor(), an_address("ada")
    visit.refused = {401}
    page, origin = visit.page(), served.local
    sign_up(page, origin, email, "Ada")
    verify(page, served, origin, email)
    sign_in(page, origin, email, "not the password")
    expect(page.get_by_role("alert")).to_have_text("The e-mail address or the password is wrong.")
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    expect(page.get_by_label("E-mail address")).to_have_value(email)
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your books are empty")).to_be_visible()
    kept = {each["name"]: each for each in visit.context.cookies()}
    assert set(kept) == {COOKIE, DEVICE_COOKIE}
    for each in kept.values():
        assert each["httpOnly"] and each["sameSite"] == "Strict"
    assert page.evaluate("document.cookie") == ""

    device = an_authenticator(visit, page)
    from_menu(page, "link", "Ways to sign in")
    page.get_by_label("Name", exact=True).fill("Laptop")
    press(page, "Add a passkey")
    expect(page.get_by_role("status").first).to_contain_text("You can sign in with it")
    expect(page.get_by_text("Laptop")).to_be_visible()
    sign_out(page)
    press(page, "Sign in with a passkey")
    expect(page.get_by_role("heading", name="Your books are empty")).to_be_visible()
    page.goto(f"{origin}/account/sessions")
    expect(page.get_by_text("Signed in by passkey")).to_be_visible()

    page.goto(f"{origin}/account/ways")
    press(page, "Remove Laptop")
    expect(page.get_by_text("Laptop")).to_have_count(0)
    sign_out(page)
    press(page, "Sign in with a passkey")
    expect(page.get_by_role("alert").first).to_contain_text("Nobody here has this passkey")
    device.send("WebAuthn.disable")


def an_authenticator(visit: Visit, page: Page) -> CDPSession:
    """A device of the browser's own that keeps passkeys and always says yes."""
    session = visit.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session


def test_who_has_no_passkey_is_told(served: Served, visitor: Visitor) -> None:
    visit = visitor()
    page = visit.page()
    page.goto(f"{served.local}/sign-in")
    session = visit.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "usb", "hasUserVerification": True,
               "isUserVerified": False, "hasResidentKey": True}  # fmt: skip
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    press(page, "Sign in with a passkey")
    expect(page.locator("[data-problem]")).to_contain_text("Try again")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_enabled()


def test_where_passkeys_are_not_of_the_page_leads_there(served: Served, visitor: Visitor) -> None:
    page = visitor().page()
    page.goto(f"{served.origin}/sign-in")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_have_count(0)
    page.get_by_role("link", name=served.local).click()
    expect(page).to_have_url(re.compile(re.escape(served.local)))


@pytest.mark.spec("S0-66", partial=True)
def test_a_code_and_a_link_by_letter_sign_in(
    served: Served, member: Member, visitor: Visitor
) -> None:
    _, page, email = member()
    sign_out(page)
    page.get_by_role("link", name="Have a link or code sent").click()
    page.get_by_label("E-mail address").fill(email)
    press(page, "Send a code")
    code = letter(served.mail, email, "Your code").code
    expect(page.get_by_label("Code from the letter")).to_be_focused()
    page.keyboard.type(f"{code[:3]} {code[3:]}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your books are empty")).to_be_visible()

    page.goto(f"{served.origin}/sign-in/letter")
    page.get_by_label("E-mail address").fill(email)
    press(page, "Send a link")
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    sent = letter(served.mail, email, "Your link")
    # Opened in another browser, from a page of another site, as webmail is.
    other = visitor()
    other.refused = {400}
    mail = other.page()
    mail.goto(served.issuer.url + "/.well-known/openid-configuration")
    mail.evaluate("(to) => { location.href = to; }", served.origin + sent.path)
    expect(mail.get_by_role("heading", name="Sign in")).to_be_visible()
    press(mail, "Sign in")
    expect(mail.get_by_role("heading", name="Your books are empty")).to_be_visible()
    mail.goto(served.origin + sent.path)
    press(mail, "Sign in")
    expect(mail.get_by_role("alert")).to_contain_text("used before")


def test_a_forgotten_password_is_set_anew(served: Served, member: Member, visitor: Visitor) -> None:
    _, page, email = member()
    second = visitor()
    second.refused = {400}
    elsewhere = second.page()
    elsewhere.goto(f"{served.origin}/sign-in")
    elsewhere.get_by_role("link", name="Forgot the password?").click()
    elsewhere.get_by_label("E-mail address").fill(email)
    press(elsewhere, "Send the letter")
    expect(elsewhere.get_by_label("Code from the letter")).to_be_focused()
    sent = letter(served.mail, email, "Choose a new password")
    elsewhere.goto(served.origin + sent.path)
    expect(elsewhere.get_by_role("textbox", name="New password")).to_be_focused()
    elsewhere.keyboard.type("1234567890")
    elsewhere.keyboard.press("Enter")
    expect(elsewhere.get_by_role("alert")).to_contain_text("most used passwords")
    elsewhere.keyboard.type("a new password here")
    elsewhere.keyboard.press("Enter")
    expect(elsewhere.get_by_role("alert")).to_contain_text("new password is set")
    sign_in(elsewhere, served.origin, email, "a new password here")
    expect(elsewhere.get_by_role("heading", name="Your books are empty")).to_be_visible()
    # Whatever was signed in with the old one is out.
    page.reload()
    expect(page.get_by_text("You were signed out")).to_be_visible()


def test_one_time_codes_are_turned_on_asked_for_and_turned_off(
    served: Served, member: Member
) -> None:
    visit, page, email = member()
    visit.refused = {401}
    page.goto(f"{served.origin}/account/ways")
    press(page, "Turn on")
    secret = page.locator(".secret code").first.inner_text()
    assert f"secret={secret}" in page.locator(".secret code").last.inner_text()
    app = pyotp.TOTP(secret)
    page.get_by_label("Code of the app").fill("000000")
    press(page, "Turn on")
    expect(page.get_by_role("alert")).to_contain_text("clock of the phone")
    expect(page.locator(".secret code").first).to_have_text(secret)
    page.get_by_label("Code of the app").fill(at(app, -1))
    press(page, "Turn on")
    expect(page.get_by_text("One-time codes are on")).to_be_visible()
    sign_out(page)
    sign_in(page, served.origin, email)
    expect(page.get_by_role("textbox", name="One-time code")).to_be_focused()
    page.keyboard.type(at(app, 0))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your books are empty")).to_be_visible()
    page.goto(f"{served.origin}/account/ways")
    press(page, "Turn off")
    expect(page.get_by_text("One-time codes are off")).to_be_visible()


def at(app: pyotp.TOTP, steps: int) -> str:
    return app.at(datetime.now(UTC) + timedelta(seconds=30 * steps))


# --- through an issuer ---------------------------------------------------------------------------


@pytest.mark.invariant("T-13")
def test_an_account_elsewhere_signs_in_and_is_linked(
    served: Served, visitor: Visitor, member: Member
) -> None:
    """To another site and back, where the session's cookie does not come with the browser."""
    issuer = served.issuer
    issuer.subject, issuer.name = f"s-{uuid4()}", "Grace Hopper"
    visit = visitor()
    page = visit.page()
    page.goto(f"{served.origin}/sign-in")
    press(page, "Sign in with University")
    expect(page).to_have_url(f"{served.origin}/")
    expect(page.locator(".menu summary")).to_contain_text("Grace Hopper")
    assert any(path == "POST /sign-in/return" for path in visit.asked)
    # What was begun is put away, and the way back leads nowhere a second time.
    assert {each["name"] for each in visit.context.cookies()} == {COOKIE, DEVICE_COOKIE}
    page.goto(f"{served.origin}/sign-in/return?code=x&state=y&iss={issuer.url}")
    expect(page.get_by_text("begun in another browser")).to_be_visible()

    # Linked to somebody who has a password, it signs in as that one.
    issuer.subject = f"s-{uuid4()}"
    _, own, _ = member("Ada")
    own.goto(f"{served.origin}/account/ways")
    press(own, "Add University")
    expect(own.get_by_text("You can sign in with it")).to_be_visible()
    sign_out(own)
    press(own, "Sign in with University")
    expect(own.locator(".menu summary")).to_contain_text("Ada")
    # Somebody's already: nobody else gets it.
    last, third, _ = member("Eve")
    last.refused = {409}
    third.goto(f"{served.origin}/account/ways")
    press(third, "Add University")
    expect(third.get_by_role("alert")).to_contain_text("belongs to somebody already")


def test_who_says_no_at_the_issuer_is_not_signed_in(served: Served, visitor: Visitor) -> None:
    page = visitor().page()
    page.goto(f"{served.origin}/sign-in")
    served.issuer.refuses = True
    try:
        press(page, "Sign in with University")
        expect(page.get_by_role("alert")).to_contain_text("You were not signed in")
    finally:
        served.issuer.refuses = False


# --- the account ---------------------------------------------------------------------------------


@pytest.mark.spec("S3-4", partial=True)
def test_somebody_is_invited_and_a_role_counts_at_once(served: Served, member: Member) -> None:
    _, ada, _ = member("Ada")
    from_menu(ada, "link", "Books and members")
    ada.get_by_label("Name").first.fill("Acme")
    press(ada, "Begin")
    expect(ada.get_by_text("These are your new books.")).to_be_visible()
    _, ben, email = member("Ben")
    ada.get_by_label("E-mail address").fill(email)
    ada.get_by_role("combobox", name="Role", exact=True).select_option("viewer")
    press(ada, "Send the invitation")
    expect(ada.get_by_text("Waiting for an answer")).to_be_visible()
    sent: Letter = letter(served.mail, email, "Invitation to Acme")
    ben.goto(served.origin + sent.path)
    press(ben, "Accept")
    expect(ben.get_by_text("Welcome. These are the books")).to_be_visible()
    expect(ben.locator(".menu summary")).to_contain_text("Acme")
    expect(ben.get_by_role("link", name="API keys")).to_have_count(0)
    expect(ben.get_by_role("button", name="Send the invitation")).to_have_count(0)

    ada.reload()
    expect(ada.get_by_text("Waiting for an answer")).to_have_count(0)
    ada.get_by_label("Role of Ben", exact=True).select_option("admin")
    press(ada, "Change the role of Ben")
    expect(ada.get_by_text("The role was changed")).to_be_visible()
    ben.reload()
    ben.locator(".side").get_by_role("link", name="API keys").click()
    expect(ben.get_by_role("heading", name="A new key")).to_be_visible()

    press(ada, "Take out Ben")
    expect(ada.get_by_text("The member was taken out")).to_be_visible()
    ben.goto(f"{served.origin}/")
    expect(ben.get_by_role("heading", name="Your books are empty")).to_be_visible()
    expect(ben.locator(".menu summary")).not_to_contain_text("Acme")
    # Ada goes back to her own books.
    ada.locator(".menu summary").click()
    ada.locator(".panel").get_by_role("button", name=re.compile("personal")).click()
    expect(ada).to_have_url(f"{served.origin}/")
    ada.goto(f"{served.origin}/account/members")
    expect(ada.get_by_text("These books are yours alone")).to_be_visible()


def test_a_key_is_shown_once(served: Served, member: Member) -> None:
    visit, page, _ = member()
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=served.origin)
    from_menu(page, "link", "API keys")
    page.get_by_label("Name", exact=True).fill("nightly export")
    page.get_by_label("jobs:read").check()
    page.get_by_label("Ends").select_option("7")
    press(page, "Make the key")
    shown = page.get_by_label("The key", exact=True)
    expect(shown).to_be_focused()
    key = shown.input_value()
    assert re.fullmatch(r"fin_[\w-]{88}", key)
    press(page, "Copy")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == key
    page.goto(f"{served.origin}/account/keys")
    expect(page.get_by_text("nightly export")).to_be_visible()
    assert key not in page.content()
    press(page, "Revoke nightly export")
    expect(page.get_by_text("It opens nothing any more")).to_be_visible()


@pytest.mark.spec("S0-65", partial=True)
def test_sessions_are_ended_elsewhere(served: Served, member: Member, visitor: Visitor) -> None:
    _, page, email = member()
    phone, tablet = visitor(390).page(), visitor().page()
    for each in (phone, tablet):
        sign_in(each, served.origin, email)
        expect(each).to_have_url(f"{served.origin}/")
    page.goto(f"{served.origin}/account/sessions")
    expect(page.locator(".rows li")).to_have_count(3)
    page.locator(".rows li").nth(1).get_by_role("button").click()
    expect(page.locator(".rows li")).to_have_count(2)
    tablet.reload()
    expect(tablet.get_by_text("You were signed out")).to_be_visible()
    press(page, "End all but this one")
    expect(page.locator(".rows li")).to_have_count(1)
    phone.reload()
    expect(phone.get_by_text("You were signed out")).to_be_visible()


def test_events_show_what_was_done(served: Served, member: Member) -> None:
    _, page, _ = member()
    page.goto(f"{served.origin}/account/events")
    for _ in range(50):
        if page.get_by_text("session.opened").count():
            break
        page.wait_for_timeout(100)
        page.reload()
    row = page.locator("tr", has_text="session.opened").first
    expect(row).to_contain_text("Ada")
    expect(row).to_contain_text("password")


# --- by keyboard, and looks ----------------------------------------------------------------------


def test_signing_up_and_out_is_done_by_keyboard(served: Served, visitor: Visitor) -> None:
    page, email = visitor().page(), an_address("keys")
    page.goto(f"{served.origin}/sign-up")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    for text in ("Keys", email, PASSWORD):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    # Enter in a list of choices opens it; the button is one further.
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Sign up")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    page.goto(served.origin + letter(served.mail, email, "Confirm").path)
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your address is verified")).to_be_visible()
    page.goto(f"{served.origin}/sign-in")
    page.keyboard.type(email)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your books are empty")).to_be_visible()
    menu = page.locator(".menu summary")
    for _ in range(20):
        page.keyboard.press("Tab")
        if menu.evaluate("(at) => at === document.activeElement"):
            break
    expect(menu).to_be_focused()
    page.keyboard.press("Enter")
    panel = page.locator(".menu .panel")
    expect(panel).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(menu).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(panel.get_by_role("link", name="Profile")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{served.origin}/account")
    every_stop_is_seen(page)
    page.locator(".menu summary").focus()
    page.keyboard.press("Enter")
    panel.get_by_role("button", name="Sign out").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("You are signed out")).to_be_visible()
    every_stop_is_seen(page)


def every_stop_is_seen(page: Page) -> None:
    """Tab goes through all that can be used, and each shows that it has the focus."""
    page.get_by_text("Skip to content").focus()
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        at = page.evaluate(
            """() => {
              const at = document.activeElement;
              const style = getComputedStyle(at);
              return [at === document.body, at.name || at.textContent.trim(), style.outlineStyle];
            }"""
        )
        if at[0]:
            break
        assert at[2] in ("solid", "auto"), at
        seen.add(at[1])
    wanted = page.evaluate(
        """() => [...document.querySelectorAll("main :is(input, select, button, a)")]
             .filter((at) => at.type !== "hidden")
             .filter((at) => at.checkVisibility()).map((at) => at.name || at.textContent.trim())"""
    )
    assert set(wanted) <= seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_it_fits_is_legible_and_has_names(
    served: Served, member: Member, width: int, scheme: str
) -> None:
    visit, page, email = member("Maximiliane Untersteiner-Hohenberg", width=width, scheme=scheme)
    visit.refused = {400, 401}
    page.goto(f"{served.origin}/account/members")
    page.get_by_label("Name").first.fill("The Honourable Company of Analytical Engines and Looms")
    press(page, "Begin")
    page.get_by_label("E-mail address").fill(an_address("somebody.with.a.long.name"))
    press(page, "Send the invitation")
    page.goto(f"{served.origin}/account/keys")
    page.get_by_label("Name", exact=True).fill("nightly")
    press(page, "Make the key")
    expect(page.get_by_label("The key", exact=True)).to_be_visible()
    looks_right(page, width)
    page.goto(f"{served.origin}/account/ways")
    press(page, "Turn on")
    expect(page.get_by_label("Code of the app")).to_be_visible()
    looks_right(page, width)
    page.locator(".menu summary").click()
    looks_right(page, width)
    for path in ("", "/ways", "/sessions", "/members", "/keys", "/events"):
        page.goto(f"{served.origin}/account{path}")
        looks_right(page, width)
    for path in ("/confirm", "/sign-in", "/sign-up", "/sign-in/letter", "/forgot", "/reset",
                 "/verify?token=x", "/enter?token=x", "/invitation?token=x"):  # fmt: skip
        page.goto(served.origin + path)
        looks_right(page, width)
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_role("alert")).to_be_visible()
    looks_right(page, width)
    sign_in(page, served.origin, email, "wrong wrong wrong")
    expect(page.get_by_role("alert").first).to_be_visible()
    looks_right(page, width)


def looks_right(page: Page, width: int) -> None:
    path = page.url
    page.wait_for_load_state("load")
    assert page.evaluate(FAINT) == [], path
    assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert page.locator("main").count() == 1 and page.locator("h1").count() == 1, path
    assert page.evaluate(NAMELESS) == [], path
    twice = page.evaluate(
        """() => { const ids = [...document.querySelectorAll("[id]")].map((at) => at.id);
                   return ids.filter((id, at) => ids.indexOf(id) !== at); }"""
    )
    assert twice == [], path
