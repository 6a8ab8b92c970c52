"""Signing up, the address, the profile, and by what one is known."""

from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import event

from finora_adapters.compose import Opened
from identity.persons import OTHER, PASSWORD, Person, Site, an_address
from together import errors, together


@pytest.mark.spec("S2-9")
def test_signing_up_makes_a_person_and_sends_a_link(site: Site) -> None:
    email = an_address()
    body = {"email": email, "password": PASSWORD, "name": "Ada"}
    answer = site.ask("POST", "/auth/register", body)
    assert answer.status_code == 201
    said = answer.json["data"]
    assert (said["name"], said["email"], said["email_verified"]) == ("Ada", email, False)
    assert "password" not in answer.text
    assert PASSWORD not in answer.text
    ((kept,),) = site.sql(
        "select password from finora.person where user_id = :id", id=said["user_id"]
    )
    assert kept.startswith("$argon2id$")
    assert PASSWORD not in kept
    ((expires, created),) = site.sql(
        "select expires_at, created_at from finora.challenge where user_id = :id",
        id=said["user_id"],
    )
    assert (expires - created).total_seconds() == 24 * 3600
    assert site.letter(email, "Confirm").link
    # The same address, however it is written.
    for same in (email, email.upper()):
        assert site.refused("POST", "/auth/register", body | {"email": same}) == (
            409,
            "EMAIL_TAKEN",
        )


@pytest.mark.spec("S2-9", partial=True)
@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"email": "ada"}, "BAD_ADDRESS"), ({"email": "a@b@c.example"}, "BAD_ADDRESS"),
     ({"email": ""}, "VALIDATION"), ({"password": "short"}, "PASSWORD_WEAK"),
     ({"password": "password123"}, "PASSWORD_WEAK"), ({"password": "x" * 40}, "PASSWORD_WEAK"),
     ({"name": "a\nb"}, "BAD_PROFILE"), ({"currency": "euro"}, "VALIDATION"),
     ({"more": 1}, "VALIDATION"), ({"name": None}, "VALIDATION")],
)  # fmt: skip
def test_what_is_not_sound_makes_nobody(site: Site, wrong: dict[str, Any], code: str) -> None:
    body = {"email": an_address(), "password": PASSWORD, "name": "Ada"} | wrong
    before = site.sql("select count(*) from finora.person")
    assert site.refused("POST", "/auth/register", body) == (400, code)
    assert site.sql("select count(*) from finora.person") == before


@pytest.mark.spec("S2-9", partial=True)
def test_of_many_who_sign_up_with_one_address_at_once_one_does(site: Site) -> None:
    email = an_address()
    body = {"email": email, "password": PASSWORD}
    answers = together(*[lambda: site.ask("POST", "/auth/register", body)] * 8)
    assert sorted(each.status_code for each in answers) == [201] + [409] * 7
    assert not errors(answers)
    ((people, tenants),) = site.sql(
        "select count(distinct i.user_id), count(distinct p.home_id) from finora.identity i "
        "join finora.person p using (user_id) where i.subject = :email",
        email=email,
    )
    assert (people, tenants) == (1, 1)


@pytest.mark.spec("S3-5")
def test_everybody_has_a_tenant_of_their_own(site: Site, ada: Person, bob: Person) -> None:
    assert ada.tenant_id != bob.tenant_id
    (own,) = ada.get("/tenants")
    assert (own["id"], own["kind"], own["role"]) == (ada.tenant_id, "personal", "owner")
    giro = ada.post("/accounts", {"name": "Giro", "asset": "EUR"}, 201)["id"]
    assert bob.get("/accounts") == []
    assert bob.refused("GET", f"/accounts/{giro}") == (404, "ACCOUNT_NOT_FOUND")
    # What is about a person is the person's, whichever tenant is worked in.
    assert bob.refused("GET", "/accounts", tenant=ada.tenant_id) == (403, "NOT_A_MEMBER")


# --- the address ---


@pytest.mark.spec("S2-10")
def test_an_address_is_verified_once(site: Site) -> None:
    person = site.register()
    link = person.letter("Confirm").link
    assert person.get("/me")["email_verified"] is False
    body = {"link": link, "password": PASSWORD}
    assert site.ask("POST", "/auth/verify", body).status_code == 200
    assert person.get("/me")["email_verified"] is True
    assert site.refused("POST", "/auth/verify", body) == (400, "LINK_INVALID")


@pytest.mark.spec("S2-10", partial=True)
def test_a_link_that_is_late_or_another_s_verifies_nothing(site: Site) -> None:
    person = site.register()
    link = person.letter("Confirm").link
    site.sql(
        "update finora.challenge set expires_at = now() where user_id = :id", id=person.user_id
    )
    magic = site.asked(person.email, "magic").link
    for wrong in (link, link[:-2] + "AA", "x", magic, person.access):
        body = {"link": wrong, "password": PASSWORD}
        assert site.refused("POST", "/auth/verify", body) == (400, "LINK_INVALID")
    assert person.get("/me")["email_verified"] is False


def test_the_link_is_sent_again_and_not_at_once(site: Site) -> None:
    person = site.register()
    assert len(person.letters("Confirm")) == 1
    person.post("/me/verification", status=202)
    assert len(person.letters("Confirm")) == 1
    site.minute_later(person)
    person.post("/me/verification", status=202)
    assert len(person.letters("Confirm")) == 2
    site.confirm(person)
    assert person.refused("POST", "/me/verification") == (404, "IDENTITY_NOT_FOUND")


# --- the profile ---


@pytest.mark.spec("S2-17")
def test_the_profile_is_cached_until_it_changes(
    site: Site, second: Site, opened: Opened, ada: Person
) -> None:
    there = Person(second, *[getattr(ada, name) for name in (
        "email", "user_id", "tenant_id", "session_id", "access", "refresh", "device")])  # fmt: skip
    business = ada.business()
    taken: list[object] = []

    def take(*given: object) -> None:
        taken.append(given)

    event.listen(opened.database.engine, "checkout", take)
    try:
        for tenant in (None, business):
            first = ada.get("/me", tenant=tenant)
            del taken[:]
            assert ada.get("/me", tenant=tenant) == first
            assert taken == []
        changes = {"name": "Ada Lovelace", "locale": "de-AT", "currency": "GBP"}
        for number, (name, value) in enumerate(changes.items()):
            caller = (ada, there)[number % 2]
            answer = caller.ask("PATCH", "/me", {name: value})
            assert answer.status_code == 200, answer.text
            assert answer.json["data"][name] == value
            for other in (ada, there):
                for tenant in (None, business):
                    assert other.get("/me", tenant=tenant)[name] == value
        assert taken
    finally:
        event.remove(opened.database.engine, "checkout", take)
    for wrong in ({"name": "a\x07"}, {"currency": "eur"}, {"locale": "§"}, {"email": "x@y.z"}):
        assert ada.refused("PATCH", "/me", wrong)[0] == 400
    assert ada.get("/me")["name"] == "Ada Lovelace"


def test_members_of_one_tenant_each_see_their_own_profile(ada: Person, bob: Person) -> None:
    business = ada.business()
    ada.takes_in(business, bob, "viewer")
    for _ in range(2):
        assert ada.get("/me", tenant=business)["user_id"] == ada.user_id
        assert bob.get("/me", tenant=business)["user_id"] == bob.user_id


# --- never without a way in ---


def ways_in(site: Site, person: Person) -> list[str]:
    """By what the person can sign in, as the rows have it."""
    found = site.sql(
        "select i.kind, i.verified_at is not null or p.password is not null from finora.identity i "
        "join finora.person p using (user_id) where i.user_id = :id",
        id=person.user_id,
    )
    return [kind for kind, good in found if good or kind != "email"]


def add_wallet(site: Site, person: Person) -> str:
    """A row as linking one makes it."""
    ((made,),) = site.sql(
        "insert into finora.identity (user_id, id, kind, issuer, subject, label, verified_at) "
        "values (:user, gen_random_uuid(), 'wallet', 'eip155', :subject, 'wallet', now()) "
        "returning id",
        user=person.user_id,
        subject=uuid4().hex,
    )
    return str(made)


def test_the_last_way_in_stays(site: Site, ada: Person) -> None:
    (email,) = ada.get("/me/identities")
    path = f"/me/identities/{email['id']}"
    assert ada.refused("DELETE", path) == (409, "LAST_IDENTITY")
    wallet = add_wallet(site, ada)
    assert ada.ask("DELETE", path).status_code == 200
    assert ada.refused("DELETE", f"/me/identities/{wallet}") == (409, "LAST_IDENTITY")
    assert ada.refused("DELETE", path) == (404, "IDENTITY_NOT_FOUND")
    assert ways_in(site, ada) == ["wallet"]


def test_two_last_ways_in_taken_away_at_once_leave_one(site: Site, ada: Person) -> None:
    for _ in range(5):
        person = site.verified()
        add_wallet(site, person)
        paths = [f"/me/identities/{each['id']}" for each in person.get("/me/identities")]
        answers = together(*[partial(person.ask, "DELETE", path) for path in paths])
        assert sorted(each.status_code for each in answers) == [200, 409]
        assert len(ways_in(site, person)) == 1


def test_a_reset_by_an_administrator_leaves_a_way_in(site: Site, ada: Person, bob: Person) -> None:
    site.make_admin(ada)
    assert ada.post(f"/people/{bob.user_id}/reset")["user_id"] == bob.user_id
    assert site.login(bob.email).status_code == 401
    link = site.letter(bob.email, "Choose a new").link
    site.ask("POST", "/auth/reset", {"link": link, "password": OTHER})
    assert site.login(bob.email, OTHER).status_code == 200


def test_nobody_reads_a_person_s_rows_but_the_person(app: Flask, ada: Person, bob: Person) -> None:
    (email,) = ada.get("/me/identities")
    (session,) = ada.get("/me/sessions")
    assert bob.refused("DELETE", f"/me/identities/{email['id']}") == (404, "IDENTITY_NOT_FOUND")
    assert bob.refused("DELETE", f"/me/sessions/{session['id']}") == (404, "SESSION_NOT_FOUND")
    assert ada.get("/me/sessions") == [session]
