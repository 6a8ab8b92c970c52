"""What is dangerous asks for a proof of the last five minutes."""

import re

import pytest

from finora_core.identity.sessions.model import FRESH_FOR
from finora_web.api.table import ENDPOINTS
from identity.devices import Key
from identity.persons import OTHER, PASSWORD, Person, Site
from identity.test_factors import linked

STALE = "5 minutes 1 second"
# Keys, factors, passwords, other people's accounts.
DANGEROUS = re.compile(
    r"POST /tokens|(POST|DELETE) /me/(password|identities|codes|passkeys|wallets|accounts|telegram)"
    r"(/.*)?|GET (/.*)?/export|POST /people/{user_id}/(?!unlock).*"
)
NOBODY = "00000000-0000-7000-8000-000000000000"


def named(endpoint: object) -> str:
    return f"{endpoint.method} {endpoint.path}"  # type: ignore[attr-defined]  # of the table


@pytest.mark.invariant("I-46")
def test_the_table_says_what_is_dangerous() -> None:
    wanted = {named(each) for each in ENDPOINTS if DANGEROUS.fullmatch(named(each))}
    marked = {named(each) for each in ENDPOINTS if each.step_up}
    assert wanted <= marked
    assert {
        "POST /tokens", "POST /me/password", "DELETE /me/identities/{identity_id}",
        "POST /me/codes/offer", "POST /me/codes", "DELETE /me/codes", "POST /me/passkeys/options",
        "POST /me/passkeys", "POST /me/wallets", "POST /me/accounts", "POST /me/telegram",
        "GET /export", "GET /me/export", "POST /reports",
        "POST /people/{user_id}/ban", "POST /people/{user_id}/unban",
        "POST /people/{user_id}/reset", "POST /people/{user_id}/roles",
    } <= marked  # fmt: skip
    # Nobody could ask for the proof itself, or go, if these needed one.
    assert marked.isdisjoint({"POST /auth/step-up", "POST /auth/logout"})
    assert FRESH_FOR.total_seconds() == 300


@pytest.mark.invariant("I-46")
@pytest.mark.parametrize(
    "path", sorted({named(each) for each in ENDPOINTS if each.step_up}), ids=str
)
def test_it_is_refused_without_a_fresh_proof_and_passes_after_one(
    site: Site, ada: Person, path: str
) -> None:
    site.make_admin(ada)
    method, route = path.split(" ")
    target = re.sub(r"{\w+}", NOBODY, route)
    ada.age(proven_at=STALE)
    # What the process remembers of it says nothing about when.
    assert ada.get("/me")
    assert ada.refused(method, target, {}) == (403, "STEP_UP_REQUIRED")
    assert ada.post("/auth/step-up", {"password": PASSWORD}) == {"done": True}
    status, code = ada.ask(method, target, {}).status_code, ""
    if status >= 400:
        status, code = ada.refused(method, target, {})
    assert code not in ("STEP_UP_REQUIRED", "PERMISSION_MISSING")
    # Refreshing proves nothing about who sits there.
    ada.age(proven_at=STALE)
    fresh = ada.refreshed().json["data"]["access_token"]
    assert ada.refused(method, target, {}, token=fresh) == (403, "STEP_UP_REQUIRED")


@pytest.mark.invariant("I-46")
def test_a_token_proves_nobody_in_person(ada: Person) -> None:
    token = ada.post("/tokens", {"name": "key"}, 201)["text"]
    body = {"name": "another"}
    assert ada.refused("POST", "/tokens", body, token=token) == (403, "STEP_UP_REQUIRED")
    assert ada.refused("POST", "/auth/step-up", {"password": PASSWORD}, token=token)[0] == 403


@pytest.mark.invariant("I-46")
def test_every_route_that_gives_out_rows_without_pages_is_an_export(site: Site) -> None:
    """What is streamed as a file is either one file, or asks for the proof."""
    streamed = {named(each) for each in ENDPOINTS if each.reply is None}
    marked = {named(each) for each in ENDPOINTS if each.step_up}
    assert streamed - marked == {
        "GET /files/{file_id}/content",
        "GET /reports/{report_id}/content",
    }


@pytest.mark.invariant("I-46")
def test_a_token_exports_only_if_it_was_made_for_that(site: Site, ada: Person) -> None:
    """By name, with a fresh proof; a token that has all of its user's role has not that."""
    ada.post("/accounts", {"name": "Giro", "asset": "EUR"}, 201)

    def token(*permissions: str) -> str:
        body = {"name": "key", "permissions": list(permissions) or None}
        return str(ada.post("/tokens", body, 201)["text"])

    whole, reader, export = token(), token("books:read"), token("books:export")
    for text in (whole, reader):
        assert site.refused("GET", "/export", token=text) == (403, "PERMISSION_MISSING")
    answer = site.ask("GET", "/export", token=export)
    assert answer.status_code == 200 and "Giro" in answer.text
    assert site.refused("GET", "/accounts", token=export) == (403, "PERMISSION_MISSING")
    # It is good for that alone, and never for what is of a person.
    assert site.refused("GET", "/me/export", token=export) == (403, "PERMISSION_MISSING")
    assert ada.ask("GET", "/export").status_code == 200
    ada.age(proven_at=STALE)
    assert ada.refused("GET", "/export") == (403, "STEP_UP_REQUIRED")
    body = {"name": "another", "permissions": ["books:export"]}
    assert ada.refused("POST", "/tokens", body) == (403, "STEP_UP_REQUIRED")


@pytest.mark.invariant("I-46")
def test_the_proof_is_by_password_code_or_passkey_and_of_this_session(
    site: Site, ada: Person
) -> None:
    other = ada.again()
    key = Key()
    linked(ada, key)
    codes = ada.codes_on()

    def stale() -> None:
        for person in (ada, other):
            person.age(proven_at=STALE)
        ada.code_used_up()
        assert ada.refused("POST", "/me/codes/offer") == (403, "STEP_UP_REQUIRED")

    def fresh() -> None:
        assert ada.refused("POST", "/me/codes/offer") == (409, "CODES_ON")
        assert other.refused("POST", "/me/codes/offer") == (403, "STEP_UP_REQUIRED")

    stale()
    ada.post("/auth/step-up", {"password": PASSWORD})
    fresh()
    stale()
    ada.post("/auth/step-up", {"code": codes.now()})
    fresh()
    stale()
    offer = site.ask("POST", "/auth/passkey/options").json["data"]
    sent = key.signed(offer)
    ada.post("/auth/step-up", sent)
    fresh()
    stale()
    assert ada.refused("POST", "/auth/step-up", sent) == (400, "TICKET_INVALID")
    eve, hers = site.verified(), Key()
    linked(eve, hers)
    offer = site.ask("POST", "/auth/passkey/options").json["data"]
    assert ada.refused("POST", "/auth/step-up", hers.signed(offer)) == (401, "PASSKEY_REFUSED")
    wrong: tuple[dict[str, str], ...] = ({}, {"password": OTHER}, {"code": "000000"})
    for body in wrong:
        assert ada.refused("POST", "/auth/step-up", body)[0] == 401
    assert ada.refused("POST", "/me/codes/offer") == (403, "STEP_UP_REQUIRED")


@pytest.mark.invariant("I-46")
@pytest.mark.invariant("T-05")
def test_a_wrong_proof_is_never_told_to_be_done(ada: Person) -> None:
    """Neither by a repeat of its request, nor is a right one good again by that."""
    ada.age(proven_at=STALE)
    wrong = {"password": OTHER}
    for _ in range(2):
        assert ada.refused("POST", "/auth/step-up", wrong, key="k1") == (
            401, "CREDENTIALS_INVALID",
        )  # fmt: skip
    right = {"password": PASSWORD}
    assert ada.ask("POST", "/auth/step-up", right, key="k2").status_code == 200
    ada.age(proven_at=STALE)
    ada.ask("POST", "/auth/step-up", right, key="k2")
    assert ada.refused("POST", "/me/codes/offer") == (403, "STEP_UP_REQUIRED")
