"""Signing up and in, letters' links, and the account, asked of the application itself."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote
from uuid import UUID, uuid4

import attrs
import pyotp
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from finora import Finora, Settings
from finora_adapters.compose import Opened
from finora_web.gate import COOKIE, DEVICE_COOKIE, TENANT_COOKIE
from finora_web.main import build
from finora_web.pages.forms import local
from finora_web.pages.told import span
from pages.conftest import ORIGIN
from pages.letters import letter, letters

PASSWORD = "correct horse battery"


@attrs.define
class Visitor:
    """A browser, as far as it goes without one, and whose it is."""

    client: FlaskClient
    finora: Finora
    mail: Path
    email: str = attrs.field(factory=lambda: f"ada-{uuid4().hex[:12]}@example.org")

    def post(self, path: str, **data: object) -> TestResponse:
        return self.client.post(path, data=data, headers={"Origin": ORIGIN})

    def get(self, path: str) -> TestResponse:
        return self.client.get(path)

    def sign_up(self, password: str = PASSWORD, **more: object) -> TestResponse:
        said = {"email": self.email, "password": password, "name": "Ada", "currency": "EUR"}
        return self.post("/sign-up", **(said | more))

    def sign_in(self, password: str = PASSWORD, **more: object) -> TestResponse:
        return self.post("/sign-in", email=self.email, password=password, **more)

    def letter(self, about: str, number: int = 1) -> str:
        """What the link of the letter has behind `token=`."""
        self.finora.run_jobs()
        return letter(self.mail, self.email, about, number).token

    def verify(self) -> None:
        sent = {"token": self.letter("Confirm"), "password": PASSWORD}
        assert self.post("/verify", **sent).status_code == 200

    def cookie(self, name: str) -> str | None:
        found = self.client.get_cookie(name)
        return None if found is None else found.value

    @property
    def signed_in(self) -> bool:
        return self.get("/account").status_code == 200

    def codes_on(self) -> pyotp.TOTP:
        shown = self.post("/account/ways/codes/offer").text
        held = dict(re.findall(r'name="(secret|uri|ticket)" value="([^"]+)"', shown))
        assert held["uri"].startswith("otpauth://totp/") and held["secret"] in held["uri"]
        app = pyotp.TOTP(held["secret"])
        code = at(app, -1)
        assert self.post("/account/ways/codes", **held, code=code).location.endswith("codes-on")
        return app


def at(app: pyotp.TOTP, steps: int) -> str:
    """What the app shows so many steps from now: a code of the step before turned codes on, and
    none is good twice."""
    return app.at(datetime.now(UTC) + timedelta(seconds=30 * steps))


Visits = Callable[[], Visitor]


@pytest.fixture
def visits(app: Flask, finora: Finora, settings: Settings) -> Visits:
    return lambda: Visitor(app.test_client(), finora, settings.data / "mail")


@pytest.fixture
def ada(visits: Visits) -> Visitor:
    """Signed up and in."""
    visitor = visits()
    visitor.sign_up()
    visitor.sign_in()
    assert visitor.signed_in
    return visitor


def cookies(answer: TestResponse) -> dict[str, str]:
    return {each.partition("=")[0]: each for each in answer.headers.getlist("Set-Cookie")}


# --- in and out ----------------------------------------------------------------------------------


@pytest.mark.spec("S2-9", partial=True)
@pytest.mark.spec("S0-65", partial=True)
def test_signing_up_and_in_makes_a_browsers_session(visits: Visits) -> None:
    visitor = visits()
    told = visitor.sign_up()
    assert told.status_code == 200 and "Look into your mail" in told.text
    assert COOKIE not in cookies(told)
    answer = visitor.sign_in()
    assert (answer.status_code, answer.location) == (303, "/")
    kept = cookies(answer)
    assert set(kept) == {COOKIE, DEVICE_COOKIE}
    for cookie in kept.values():
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Expires=" in cookie
        assert "Secure" not in cookie
    shown = visitor.get("/account/sessions").text
    assert "this one" in shown and "Signed in by password" in shown
    # The cookie is for pages alone: as a token it is nothing.
    header = {"Authorization": f"Bearer {visitor.cookie(COOKIE)}"}
    visitor.client.delete_cookie(COOKIE)
    assert visitor.client.get("/api/v1/me", headers=header).status_code == 401


def test_behind_tls_the_sessions_cookies_are_for_tls_only(ada: Visitor) -> None:
    headers = {"Origin": f"https://{ORIGIN.partition('//')[2]}", "X-Forwarded-Proto": "https"}
    data = {"email": ada.email, "password": PASSWORD}
    kept = cookies(ada.client.post("/sign-in", data=data, headers=headers))
    assert "Secure" in kept[COOKIE]


def test_signing_out_ends_the_session_wherever_its_cookie_is(ada: Visitor, visits: Visits) -> None:
    copy = visits()
    copy.client.set_cookie(COOKIE, ada.cookie(COOKIE) or "")
    assert copy.signed_in
    assert ada.post("/sign-out").location == "/sign-in?why=out"
    assert not ada.signed_in and not copy.signed_in
    assert ada.cookie(DEVICE_COOKIE), "the device is known still"


def test_the_device_that_signed_in_is_no_new_one(ada: Visitor) -> None:
    assert DEVICE_COOKIE not in cookies(ada.sign_in())


@pytest.mark.spec("S2-11", partial=True)
@pytest.mark.invariant("I-45")
def test_nobody_learns_who_is_here(visits: Visits) -> None:
    """Each page says the same of an address that somebody has and of one that nobody has."""
    known, unknown = visits(), visits()
    known.sign_up()
    for path, more in (
        ("/sign-in", {"password": "wrong wrong wrong"}),
        ("/sign-up", {"password": PASSWORD, "name": "Eve", "currency": "EUR"}),
        ("/forgot", {}),
        ("/sign-in/letter", {"by": "code"}),
        ("/sign-in/letter", {"by": "link"}),
        ("/sign-in/letter/code", {"sent": "000000"}),
        ("/reset", {"code": "000000", "password": PASSWORD}),
    ):
        one, other = (each.post(path, email=each.email, **more) for each in (known, unknown))
        assert one.status_code == other.status_code, path
        assert one.text.replace(known.email, "") == other.text.replace(unknown.email, ""), path
        assert list(one.headers.keys()) == list(other.headers.keys()), path


def test_who_signs_up_again_gets_a_link_to_sign_in(ada: Visitor) -> None:
    assert "Look into your mail" in ada.sign_up("another password").text
    link = ada.letter("Your link to sign in")
    ada.post("/sign-out")
    assert ada.sign_in("another password").status_code == 401
    assert ada.post("/enter", token=link).location == "/"
    assert ada.signed_in


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("password", "short", "A password has 10 to 256 characters"),
        ("password", "password12", "one of the most used"),
        ("email", "no address", "address has no @"),
        ("currency", "XXQ", "not an ISO 4217 currency"),
        ("name", "x" * 201, "at most 200"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    visits: Visits, field: str, value: str, said: str
) -> None:
    visitor = visits()
    answer = visitor.sign_up(**{field: value})
    assert answer.status_code == 400 and said in answer.text
    if field != "currency":
        marked = re.findall(r'id="(\w+)"[^>]*aria-invalid="true"', answer.text)
        assert marked == [field]
    # What was typed is still there, but for the password.
    assert PASSWORD not in answer.text
    assert (visitor.email in answer.text) == (field != "email")


@pytest.mark.spec("S2-11", partial=True)
def test_who_guesses_is_locked_and_told_until_when(visits: Visits) -> None:
    visitor, stranger = visits(), visits()
    visitor.sign_up()
    stranger.email = visitor.email
    answers = [stranger.sign_in(f"wrong wrong {number}") for number in range(6)]
    assert [each.status_code for each in answers] == [401] * 5 + [423]
    assert "locked for 30 minutes, until" in answers[-1].text
    assert re.search(r"until \d\d:\d\d UTC", answers[-1].text)
    assert int(answers[-1].headers["Retry-After"]) > 1_700
    assert stranger.sign_in().status_code == 423, "the right one does not help"
    # A new password does.
    assert stranger.post("/forgot", email=stranger.email).status_code == 200
    link = stranger.letter("Choose a new password")
    answer = stranger.post("/reset", token=link, password="a new password here")
    assert answer.location == "/sign-in?why=reset"
    assert stranger.sign_in("a new password here").location == "/"


def test_too_many_forms_are_refused_with_the_time(settings: Settings, opened: Opened) -> None:
    """By the network, before anything is looked at; signing up by a limit of its own."""
    tight = settings.model_copy(update={"rate_limits": "auth=2/900,signup=1/3600"})
    client = build(tight, opened).test_client()
    where = {"REMOTE_ADDR": f"10.{uuid4().bytes[0]}.{uuid4().bytes[1]}.7"}
    data = {"email": "nobody@example.org", "password": "wrong wrong"}

    def post(path: str) -> TestResponse:
        return client.post(path, data=data, headers={"Origin": ORIGIN}, environ_base=where)

    assert [post("/sign-in").status_code for _ in range(3)] == [401, 401, 429]
    refused = post("/forgot")
    assert refused.status_code == 429 and int(refused.headers["Retry-After"]) > 60
    assert re.search(r"Too many tries from your network. Try again in \d+ minutes", refused.text)
    assert [post("/sign-up").status_code for _ in range(2)] == [400, 429]


def test_the_latest_wish_to_go_on_is_kept_within_the_site(ada: Visitor) -> None:
    assert ada.sign_in(next="/account/keys").location == "/account/keys"
    for path in (
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "evil.example",
        "",
        "/x\r\nA: b",
    ):
        assert ada.sign_in(next=path).location == "/", path
        assert local(path) == "/"


# --- forms of other sites ------------------------------------------------------------------------


def test_no_form_of_another_site_does_anything(app: Flask, ada: Visitor) -> None:
    """Whatever takes a form, with the browser's cookies and without."""
    written = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("pages.") and "POST" in (rule.methods or ())
    ]
    assert len(written) > 30
    for rule in written:
        path = re.sub(r"<[^>]+>", str(uuid4()), rule)
        for origin in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
            answer = ada.client.post(path, data={"email": ada.email}, headers=origin)
            assert answer.status_code in (303, 403), path
            assert set(cookies(answer)) <= {COOKIE}, path
            # At most it is forgotten here, which the browser's own cookie jar does not see:
            # another site's form never carries it.
            ada.client.set_cookie(COOKIE, "")
    assert not ada.signed_in


def test_a_form_of_another_site_ends_no_session(ada: Visitor, visits: Visits) -> None:
    own = ada.cookie(COOKIE) or ""
    for path in ("/sign-out", "/account/sessions/end-others", "/account/members/leave"):
        ada.client.post(path, headers={"Origin": "https://evil.example"})
        ada.client.set_cookie(COOKIE, own)
    assert ada.signed_in


# --- letters -------------------------------------------------------------------------------------


@pytest.mark.spec("S2-9", partial=True)
def test_looking_at_a_link_does_not_use_it_up(ada: Visitor) -> None:
    link = ada.letter("Confirm")
    for _ in range(2):
        shown = ada.get(f"/verify?token={quote(link)}")
        assert shown.status_code == 200 and "Confirm this address" in shown.text
    assert ada.client.head(f"/verify?token={quote(link)}").status_code == 200
    assert "not verified yet" in ada.get("/account").text
    assert "is verified" in ada.post("/verify", token=link, password=PASSWORD).text
    assert "not verified yet" not in ada.get("/account").text
    again = ada.post("/verify", token=link, password=PASSWORD)
    assert again.status_code == 400 and "was used before" in again.text


@pytest.mark.spec("S0-66", partial=True)
def test_a_link_signs_in_once_and_not_by_being_looked_at(ada: Visitor) -> None:
    ada.post("/sign-out")
    asked = ada.post("/sign-in/letter", email=ada.email, by="link")
    assert "letter with a link is on its way" in asked.text
    link = ada.letter("Your link to sign in")
    assert ada.get(f"/enter?token={quote(link)}").status_code == 200
    assert not ada.signed_in
    assert ada.post("/enter", token=link).location == "/"
    assert ada.signed_in
    assert ada.post("/enter", token=link).status_code == 400
    assert ada.post("/verify", token=link, password=PASSWORD).status_code == 400


@pytest.mark.spec("S0-66", partial=True)
def test_a_code_signs_in_however_its_digits_are_grouped(ada: Visitor) -> None:
    ada.post("/sign-out")
    ada.post("/sign-in/letter", email=ada.email, by="code")
    ada.finora.run_jobs()
    code = letter(ada.mail, ada.email, "Your code").code
    wrong = ada.post("/sign-in/letter/code", email=ada.email, sent="12")
    assert wrong.status_code == 400 and "six digits" in wrong.text
    other = f"{(int(code) + 1) % 1_000_000:06}"
    wrong = ada.post("/sign-in/letter/code", email=ada.email, sent=other)
    assert wrong.status_code == 400 and "code is wrong" in wrong.text
    typed = f" {code[:3]} {code[3:]} "
    assert ada.post("/sign-in/letter/code", email=ada.email, sent=typed).location == "/"
    assert ada.signed_in
    assert ada.post("/sign-in/letter/code", email=ada.email, sent=code).status_code == 400


def test_a_forgotten_password_is_set_by_the_letters_code(ada: Visitor) -> None:
    shown = ada.post("/forgot", email=ada.email).text
    assert "type its code here" in shown and 'name="code"' in shown
    ada.finora.run_jobs()
    code = letter(ada.mail, ada.email, "Choose a new password").code
    weak = ada.post("/reset", email=ada.email, code=code, password="short")
    assert weak.status_code == 400 and "10 to 256" in weak.text
    done = ada.post("/reset", email=ada.email, code=code, password="a new password here")
    assert done.location == "/sign-in?why=reset"
    assert not ada.signed_in, "every session ended"
    assert ada.sign_in().status_code == 401
    assert ada.sign_in("a new password here").location == "/"


def test_pages_of_links_are_kept_nowhere_and_tell_nobody_their_address(ada: Visitor) -> None:
    for path in ("/verify", "/enter", "/reset", "/invitation"):
        answer = ada.get(f"{path}?token=secret")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert not re.search(r'(?:href|src|action)="[^"]*secret', answer.text)


# --- one-time codes ------------------------------------------------------------------------------


def test_a_one_time_code_is_asked_for_in_a_second_step(ada: Visitor) -> None:
    app = ada.codes_on()
    ada.post("/sign-out")
    step = ada.sign_in(next="/account/ways")
    assert step.status_code == 200 and "One-time code" in step.text
    assert not ada.signed_in and PASSWORD not in step.text
    held = dict(re.findall(r'name="(ticket|next)" value="([^"]+)"', step.text))
    wrong = f"{(int(app.now()) + 1) % 1_000_000:06}"
    again = ada.post("/sign-in/code", **held, code=wrong)
    assert again.status_code == 401 and "code is wrong" in again.text
    assert held["ticket"] in again.text
    code = app.now()
    assert ada.post("/sign-in/code", **held, code=code).location == "/account/ways"
    assert ada.signed_in
    # Neither the code nor a new one goes with the ticket of another time.
    assert ada.post("/sign-in/code", **held, code=code).status_code == 401


def test_a_ticket_is_nothing_after_the_password_changed(ada: Visitor) -> None:
    app = ada.codes_on()
    ticket = re.search(r'name="ticket" value="([^"]+)"', ada.sign_in().text)
    assert ticket
    ada.post("/account/password", password="a new password here")
    refused = ada.post("/sign-in/code", ticket=ticket[1], code=app.now())
    assert refused.status_code == 401 and "Something changed meanwhile" in refused.text
    assert ada.post("/sign-in/code", ticket="x", code=app.now()).status_code == 401


def test_a_letters_link_is_used_up_by_the_code_and_not_before(ada: Visitor) -> None:
    ada.verify()
    app = ada.codes_on()
    ada.post("/sign-in/letter", email=ada.email, by="link")
    link = ada.letter("Your link to sign in")
    ada.post("/sign-out")
    step = ada.post("/enter", token=link)
    ticket = re.search(r'name="ticket" value="([^"]+)"', step.text)
    assert ticket and not ada.signed_in
    wrong = f"{(int(app.now()) + 1) % 1_000_000:06}"
    assert ada.post("/sign-in/code", ticket=ticket[1], code=wrong).status_code == 401
    assert ada.post("/sign-in/code", ticket=ticket[1], code=app.now()).location == "/"
    # Spent by that, with whatever code.
    later = at(app, 1)
    second = ada.post("/sign-in/code", ticket=ticket[1], code=later)
    assert second.status_code == 400 and "was used before" in second.text


def test_five_wrong_codes_lock_with_the_time(ada: Visitor) -> None:
    app = ada.codes_on()
    ticket = re.search(r'name="ticket" value="([^"]+)"', ada.sign_in().text)
    assert ticket
    wrong = f"{(int(app.now()) + 1) % 1_000_000:06}"
    said = [ada.post("/sign-in/code", ticket=ticket[1], code=wrong) for _ in range(6)]
    assert [each.status_code for each in said] == [401] * 5 + [423]
    assert "locked for 30 minutes" in said[-1].text


def test_right_passwords_are_not_counted_as_guesses(ada: Visitor, visits: Visits) -> None:
    """Four wrong, then the right one and its code, over and over."""
    app = ada.codes_on()
    other = visits()
    other.email = ada.email
    for step in (0, 1):
        for _ in range(4):
            assert other.sign_in("wrong wrong wrong").status_code == 401
        ticket = re.search(r'name="ticket" value="([^"]+)"', other.sign_in().text)
        assert ticket
        code = at(app, step)
        assert other.post("/sign-in/code", ticket=ticket[1], code=code).location == "/"
        other.client.delete_cookie(DEVICE_COOKIE)


# --- confirming ----------------------------------------------------------------------------------


@pytest.fixture
def stale(ada: Visitor, admin: Engine) -> Visitor:
    """Signed in, and not proven for an hour."""
    with admin.begin() as connection:
        connection.execute(
            text("update finora.session set proven_at = proven_at - interval '1 hour' "
                 "where user_id = (select user_id from finora.identity where label = :email)"),
            {"email": ada.email},
        )  # fmt: skip
    return ada


@pytest.mark.invariant("I-46")
@pytest.mark.parametrize(
    ("path", "back"),
    [
        ("/account/password", "/account"),
        ("/account/ways/remove", "/account/ways"),
        ("/account/ways/passkey/options", "/account/ways"),
        ("/account/ways/passkey", "/account/ways"),
        ("/account/ways/codes/offer", "/account/ways"),
        ("/account/ways/codes", "/account/ways"),
        ("/account/ways/codes/off", "/account/ways"),
        ("/account/ways/issuer", "/account/ways"),
        ("/account/keys", "/account/keys"),
    ],
)
def test_what_is_dangerous_asks_again_who_it_is(stale: Visitor, path: str, back: str) -> None:
    answer = stale.post(path, name="x", scope="books:read", end="7")
    assert (answer.status_code, answer.location) == (303, f"/confirm?next={quote(back, '')}")


def test_a_password_confirms_and_goes_on(stale: Visitor) -> None:
    assert "Make the key" not in stale.get("/account/keys").text
    shown = stale.get("/confirm?next=/account/keys").text
    assert 'name="next" value="/account/keys"' in shown and "Confirm with the code" not in shown
    wrong = stale.post("/confirm", next="/account/keys", password="wrong wrong")
    assert wrong.status_code == 401 and 'value="/account/keys"' in wrong.text
    done = stale.post("/confirm", next="/account/keys", password=PASSWORD)
    assert done.location == "/account/keys?said=confirmed"
    assert "Make the key" in stale.get("/account/keys").text


# --- the account ---------------------------------------------------------------------------------

ACCOUNT = ("/account", "/account/ways", "/account/sessions", "/account/members", "/account/keys",
           "/account/events", "/confirm")  # fmt: skip
OPEN = ("/sign-in", "/sign-up", "/sign-in/letter", "/forgot", "/reset", "/verify?token=x",
        "/enter?token=x", "/reset?token=x", "/invitation?token=x",
        "/sign-in/return?code=a&state=b")  # fmt: skip


@pytest.mark.parametrize("path", [*ACCOUNT, *OPEN])
def test_every_page_has_the_strict_policy_and_nothing_inline(ada: Visitor, path: str) -> None:
    answer = ada.get(path)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy and "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"
    for inline in (" style=", "<style", " onclick", " onload", "javascript:", "hx-on"):
        assert inline not in answer.text, inline


@pytest.mark.parametrize("path", ACCOUNT)
def test_without_a_session_there_is_no_account(app: Flask, token: str, path: str) -> None:
    answer = app.test_client().get(path)
    assert answer.status_code == 303 and answer.location.startswith("/sign-in")
    # A pasted token is no person.
    client = app.test_client()
    client.set_cookie(COOKIE, token)
    own = path in ("/account", "/account/ways", "/account/sessions", "/confirm")
    assert client.get(path).status_code == (403 if own else 200)


def test_the_profile_is_changed(ada: Visitor) -> None:
    answer = ada.post("/account", name="Ada <b>King</b>", locale="de-AT", currency="GBP")
    assert answer.location == "/account?said=changed"
    shown = ada.get(answer.location).text
    assert "Saved." in shown and "Ada &lt;b&gt;King" in shown and "<b>King" not in shown
    for wrong in ({"name": "a\x00b"}, {"locale": "?"}, {"currency": "zzz"}):
        sent = {"name": "Ada", "locale": "en", "currency": "EUR"} | wrong
        assert ada.post("/account", **sent).status_code == 400
    assert "de-AT" in ada.get("/account").text


@pytest.mark.spec("S0-65", partial=True)
def test_sessions_are_listed_and_ended_elsewhere(ada: Visitor, visits: Visits) -> None:
    phone, tablet = visits(), visits()
    for each, agent in ((phone, "Mozilla/5.0 (iPhone) Safari/605"), (tablet, "curl/8.5")):
        each.email = ada.email
        each.client.environ_base["HTTP_USER_AGENT"] = agent
        each.sign_in()
        assert each.signed_in
    shown = ada.get("/account/sessions").text
    assert "Safari on an iPhone" in shown and "curl" in shown
    ids = re.findall(r'name="session_id" value="([^"]+)"', shown)
    assert len(ids) == 2
    # Newest first, so the tablet's.
    assert ada.post("/account/sessions/end", session_id=ids[0]).location.endswith("said=ended")
    assert not tablet.signed_in and phone.signed_in and ada.signed_in
    ada.post("/account/sessions/end-others")
    assert not phone.signed_in and ada.signed_in


def test_nobody_ends_a_strangers_session(ada: Visitor, visits: Visits) -> None:
    eve, bob = visits(), visits()
    bob.email = ada.email
    bob.sign_in()
    other = re.findall(r'name="session_id" value="([^"]+)"', ada.get("/account/sessions").text)
    eve.sign_up()
    eve.sign_in()
    assert eve.post("/account/sessions/end", session_id=other[0]).status_code == 404
    assert eve.post("/account/sessions/end", session_id="x").status_code == 400
    assert bob.signed_in


def test_another_password_ends_the_other_sessions(ada: Visitor, visits: Visits) -> None:
    phone = visits()
    phone.email = ada.email
    phone.sign_in()
    weak = ada.post("/account/password", password=ada.email)
    assert weak.status_code == 400 and "not the e-mail address" in weak.text
    assert ada.post("/account/password", password="a new password here").status_code == 303
    assert ada.signed_in and not phone.signed_in
    assert phone.sign_in().status_code == 401


def test_the_last_way_in_stays(ada: Visitor) -> None:
    found = ada.get("/account/ways").text
    assert ada.email in found and "Remove" not in found


# --- books, members, keys ------------------------------------------------------------------------


@pytest.fixture
def acme(ada: Visitor) -> Visitor:
    """Ada in books of a business."""
    ada.verify()
    answer = ada.post("/account/members/books", name="Acme", currency="EUR")
    assert answer.location == "/account/members?said=made"
    assert "Acme" in ada.get("/account/members").text
    return ada


def joined(acme: Visitor, ben: Visitor, role: str) -> None:
    assert acme.post("/account/members/invite", email=ben.email, role=role).status_code == 303
    ben.sign_up()
    ben.verify()
    ben.sign_in()
    link = ben.letter("Invitation")
    assert ben.get(f"/invitation?token={quote(link)}").status_code == 200
    assert ben.post("/invitation", token=link).location == "/account/members?said=joined"


@pytest.mark.spec("S3-4", partial=True)
def test_an_invitation_is_accepted_once_and_a_role_counts_at_once(
    acme: Visitor, visits: Visits
) -> None:
    ben = visits()
    joined(acme, ben, "viewer")
    shown = ben.get("/account/members").text
    assert "Acme" in shown and "Send the invitation" not in shown
    assert ben.get("/account/keys").status_code == 403
    link = ben.letter("Invitation")
    assert ben.post("/invitation", token=link).status_code == 400
    users = re.findall(r'name="user_id" value="([^"]+)"', acme.get("/account/members").text)
    role = {"user_id": users[-1], "role": "admin"}
    assert acme.post("/account/members/role", **role).location.endswith("said=role")
    assert ben.get("/account/keys").status_code == 200
    role["role"] = "viewer"
    acme.post("/account/members/role", **role)
    assert ben.get("/account/keys").status_code == 403
    assert ben.post("/account/members/role", **(role | {"role": "owner"})).status_code == 403
    assert acme.post("/account/members/remove", user_id=users[-1]).location.endswith("said=gone")
    # Out of them, Ben sees his own books, and none of the others'.
    answer = ben.get("/account/members")
    assert answer.status_code == 303 and "Max-Age=0" in cookies(answer)[TENANT_COOKIE]
    assert "yours alone" in ben.get("/account/members").text


@pytest.mark.spec("S3-4", partial=True)
def test_an_invitation_waits_until_who_it_is_for_signed_in(acme: Visitor, visits: Visits) -> None:
    ben, eve = visits(), visits()
    acme.post("/account/members/invite", email=ben.email, role="viewer")
    link = ben.letter("Invitation")
    answer = ben.post("/invitation", token=link)
    assert answer.location.startswith("/sign-in?why=invited&next=")
    page = ben.get(answer.location).text
    back = re.search(r'name="next" value="([^"]+)"', page)
    assert back and back[1].startswith("/invitation?token=") and "Sign in to accept" in page
    eve.sign_up()
    eve.verify()
    eve.sign_in()
    refused = eve.post("/invitation", token=link)
    assert refused.status_code == 403 and "sent to another address" in refused.text
    ben.sign_up()
    assert ben.sign_in(next=back[1]).location == back[1]
    assert ben.post("/invitation", token=link).status_code == 403, "not verified yet"
    ben.verify()
    assert ben.post("/invitation", token=link).status_code == 303


@pytest.mark.spec("S3-4", partial=True)
def test_an_invitation_is_taken_back_and_one_owner_stays(acme: Visitor, visits: Visits) -> None:
    ben = visits()
    ben.sign_up()
    ben.verify()
    ben.sign_in()
    acme.post("/account/members/invite", email=ben.email, role="accountant")
    link = ben.letter("Invitation")
    shown = acme.get("/account/members").text
    assert ben.email in shown and "Waiting for an answer" in shown
    invite = re.search(r'name="invite_id" value="([^"]+)"', shown)
    assert invite and acme.post("/account/members/withdraw", invite_id=invite[1]).status_code == 303
    assert "taken back" in ben.post("/invitation", token=link).text
    alone = acme.post("/account/members/leave")
    assert alone.status_code == 409 and "somebody else an owner" in alone.text
    twice = acme.post("/account/members/invite", email=acme.email, role="viewer")
    assert twice.status_code == 409 and acme.email in twice.text
    assert acme.post("/account/members/invite", email="x", role="viewer").status_code == 400
    assert acme.post("/account/members/invite", email=ben.email, role="king").status_code == 400


def test_books_are_changed_between_and_a_strangers_are_not_shown(
    acme: Visitor, visits: Visits
) -> None:
    eve = visits()
    eve.sign_up()
    eve.sign_in()
    acme_id = acme.cookie(TENANT_COOKIE) or ""
    assert str(UUID(acme_id)) in acme.get("/account").text
    refused = eve.post("/account/tenant", tenant_id=acme_id)
    assert refused.status_code == 403 and TENANT_COOKIE not in cookies(refused)
    eve.client.set_cookie(TENANT_COOKIE, acme_id)
    answer = eve.get("/")
    assert answer.status_code == 303 and "Max-Age=0" in cookies(answer)[TENANT_COOKIE]
    assert eve.get("/").status_code == 200
    home = re.findall(r'name="tenant_id" value="([^"]+)"', acme.get("/account").text)
    home.remove(acme_id)
    answer = acme.post("/account/tenant", tenant_id=home[0], next="/account/members")
    assert answer.location == "/account/members"
    assert "yours alone" in acme.get("/account/members").text
    # Whoever signs in next begins with books of the own.
    acme.post("/account/tenant", tenant_id=acme_id)
    assert "Max-Age=0" in cookies(acme.sign_in())[TENANT_COOKIE]


def test_a_key_is_shown_once_and_revoked(acme: Visitor) -> None:
    none = acme.post("/account/keys", name="nightly", end="7")
    assert none.status_code == 400 and "what the key may do" in none.text
    answer = acme.post("/account/keys", name="nightly", scope="books:read", end="7")
    found = re.search(r"fin_[\w-]{88}", answer.text)
    assert answer.status_code == 200 and found
    shown = acme.get("/account/keys").text
    assert "nightly" in shown and found[0] not in shown and "books:read" in shown
    api, header = acme.client.application.test_client(), {"Authorization": f"Bearer {found[0]}"}
    assert api.get("/api/v1/wallet/summary", headers=header).status_code == 200
    assert api.get("/api/v1/members", headers=header).status_code == 403
    token = re.search(r'name="token_id" value="([^"]+)"', shown)
    assert token and acme.post("/account/keys/revoke", token_id=token[1]).status_code == 303
    assert api.get("/api/v1/wallet/summary", headers=header).status_code == 401
    assert "Revoked and ended" in acme.get("/account/keys").text


def test_no_key_can_more_than_who_makes_it(acme: Visitor, visits: Visits) -> None:
    ben = visits()
    joined(acme, ben, "admin")
    for scope in ("owners:write", "people:write", "self:write", "x"):
        refused = ben.post("/account/keys", name="k", scope=scope, end="7")
        assert refused.status_code == 400 and "fin_" not in refused.text.replace("fin_…", "")
    assert ben.post("/account/keys", name="k", scope="books:read", end="9").status_code == 400


def test_events_are_shown_with_names_and_in_their_order(acme: Visitor) -> None:
    acme.finora.run_jobs()
    shown = acme.get("/account/events").text
    assert "tenant.made" in shown and ">Ada<" in shown
    numbers = [int(each) for each in re.findall(r'class="number">(\d+)<', shown)]
    assert numbers == sorted(numbers, reverse=True) and numbers[-1] == 1
    assert acme.get("/account/events?before=1").status_code == 200
    assert acme.get("/account/events?before=x").status_code == 400


def test_no_letter_is_sent_to_whom_nobody_knows(visits: Visits) -> None:
    nobody = visits()
    nobody.post("/forgot", email=nobody.email)
    nobody.post("/sign-in/letter", email=nobody.email, by="link")
    nobody.finora.run_jobs()
    assert letters(nobody.mail, nobody.email, "") == []


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1, "1 second"), (89, "89 seconds"), (90, "2 minutes"), (1800, "30 minutes")],
)
def test_how_long_is_said_in_words(seconds: int, said: str) -> None:
    assert span(seconds) == said
