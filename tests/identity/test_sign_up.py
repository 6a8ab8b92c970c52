"""Signing up where the address comes first: nothing tells who is here already (I-45)."""

import json

import pytest

from finora import Settings
from finora_adapters.compose import Opened
from finora_web.main import build
from identity.persons import OTHER, PASSWORD, Site, an_address


@pytest.fixture(scope="module")
def strict(at_home: Settings, opened: Opened, site: Site) -> Site:
    """As in production: nobody signs in before the address is proven."""
    settings = at_home.model_copy(update={"sign_in_unproven": False})
    return Site(build(settings, opened), site.finora, site.admin, site.mail)


def test_in_production_the_address_comes_first() -> None:
    assert Settings(env="production").proof_first
    assert not Settings(env="development").proof_first
    assert not Settings(env="production", sign_in_unproven=True).proof_first


@pytest.mark.spec("S2-9", partial=True)
@pytest.mark.invariant("I-45")
def test_signing_up_says_the_same_of_a_taken_address_and_of_a_new_one(strict: Site) -> None:
    """Status, headers and body, but for ids; proven or not; again and again."""
    taken, waiting = strict.verified_first(), an_address()
    strict.ask("POST", "/auth/register", {"email": waiting, "password": OTHER})
    people = strict.sql("select count(*) from finora.person")
    seen = set()
    for email in (taken, waiting, taken.upper()):
        body = {"email": email, "password": PASSWORD, "name": "Ada"}
        seen.add(shape(strict, body))
    assert strict.sql("select count(*) from finora.person") == people
    seen.add(shape(strict, {"email": an_address(), "password": PASSWORD, "name": "Ada"}))
    assert len(seen) == 1
    # Who has the address is told, and gets a way in.
    link = strict.letter(taken, "Your link").link
    assert strict.ask("POST", "/auth/magic", {"link": link}).status_code == 200


@pytest.mark.spec("S2-11", partial=True)
@pytest.mark.invariant("I-45")
def test_signing_in_says_nothing_of_whether_signing_up_made_somebody(strict: Site) -> None:
    """Else the password that was just sent would tell."""
    taken, new = strict.verified_first(), an_address()
    said = []
    for email in (taken, new):
        body = {"email": email, "password": OTHER, "name": "Ada"}
        assert strict.ask("POST", "/auth/register", body).status_code == 201
        answers = [strict.login(email, OTHER) for _ in range(6)]
        said.append([(a.status_code, a.json["error"] | {"request_id": ""}) for a in answers])
    assert [[status for status, _ in each] for each in said] == [[401] * 5 + [423]] * 2
    assert said[0][:5] == said[1][:5]


@pytest.mark.spec("S2-10", partial=True)
@pytest.mark.spec("S2-11", partial=True)
def test_who_confirms_the_address_signs_in(strict: Site) -> None:
    email = an_address()
    body = {"email": email, "password": PASSWORD, "name": "Ada"}
    strict.ask("POST", "/auth/register", body)
    assert strict.login(email).json["error"]["code"] == "CREDENTIALS_INVALID"
    body = {"link": strict.letter(email, "Confirm").link, "password": PASSWORD}
    assert strict.ask("POST", "/auth/verify", body).status_code == 200
    assert strict.sign_in(email).get("/me")["email_verified"] is True


def shape(site: Site, body: dict[str, str]) -> str:
    """All of an answer that may differ only where it must."""
    answer = site.ask("POST", "/auth/register", body)
    said = answer.json["data"]
    for name in ("user_id", "tenant_id"):
        assert len(said[name]) == 36
        said[name] = ""
    assert said.pop("email") == body["email"]
    names = sorted(name for name, _ in answer.headers)
    return json.dumps([answer.status_code, said, names, answer.headers["Content-Type"]])
