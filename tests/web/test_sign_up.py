"""Addresses, passwords and names as people, and others, write them."""

import json
import unicodedata
from typing import Any
from uuid import uuid4

import pytest

from web.callers import PASSWORD
from web.catalogue import World, Written
from web.corpus.addresses import NO_ADDRESSES, PASSWORDS, TWINS


@pytest.mark.spec("S2-7", partial=True)
@pytest.mark.invariant("T-12")
def test_one_address_is_one_person_however_it_is_written(world: World) -> None:
    """Case, width, and signs that stand for others: the second is taken, or is none."""
    name, public = f"ada{uuid4().hex}", world.public
    said = {"password": PASSWORD, "name": "Ada"}
    public.post("/auth/register", {"email": f"{name}@example.org", **said})
    for twin in TWINS:
        address = twin.replace("ada@", f"{name}@").replace("Ada@", f"{name.title()}@")
        address = address.replace("ADA@", f"{name.upper()}@")
        answer = public.ask("POST", "/auth/register", {"email": address, **said})
        assert (answer.status_code, answer.json["error"]["code"]) in (
            (409, "EMAIL_TAKEN"), (400, "BAD_ADDRESS"),
        ), address  # fmt: skip
        if answer.status_code == 409:
            login = {"email": address, "password": PASSWORD}
            assert public.ask("POST", "/auth/login", login).status_code == 200


@pytest.mark.invariant("T-12")
def test_a_domain_that_only_looks_alike_is_another_and_gets_nobody_in(world: World) -> None:
    """The letter e of another script: an address of its own, under its ASCII form."""
    name, public = uuid4().hex, world.public
    mine, alike = f"{name}@example.org", f"{name}@\u0435xample.org"
    public.post("/auth/register", {"email": mine, "password": PASSWORD})
    refused = public.refused("POST", "/auth/login", {"email": alike, "password": PASSWORD})
    assert refused == (401, "CREDENTIALS_INVALID")
    other = {"email": alike, "password": "another horse battery"}
    assert public.ask("POST", "/auth/register", other).status_code == 201
    assert public.refused("POST", "/auth/login", {**other, "email": mine})[0] == 401
    assert (
        public.ask("POST", "/auth/login", {"email": mine, "password": PASSWORD}).status_code == 200
    )


@pytest.mark.spec("S2-7", partial=True)
@pytest.mark.invariant("I-55")
def test_what_is_no_address_is_refused_everywhere(world: World, written: Written) -> None:
    public = world.public
    assert world.api.get("/me")
    seen = written.seen()
    for address in dict.fromkeys(NO_ADDRESSES):
        for path, body in (
            ("/auth/register", {"password": PASSWORD, "name": "x"}),
            ("/auth/login", {"password": PASSWORD}),
            ("/auth/letters", {"kind": "magic"}),
            ("/auth/code", {"sent": "123456"}),
        ):
            answer = public.ask("POST", path, {"email": address, **body})
            assert answer.status_code == 400, (path, address, answer.text)
            assert answer.json["error"]["code"] in ("VALIDATION", "BAD_ADDRESS", "LINK_INVALID")
        invite = {"email": address, "role": "viewer"}
        assert world.api.ask("POST", "/invites", invite).status_code == 400, address
        assert not seen.changed(), address


@pytest.mark.spec("S2-7", partial=True)
@pytest.mark.invariant("T-12")
def test_a_password_of_any_size_is_bounded_before_it_is_checked(
    world: World, written: Written
) -> None:
    """Ten megabytes are not read, a thousand signs are not hashed: no step takes long."""
    public, person = world.public, world.somebody
    seen = written.seen()
    for size, status in ((1_025, 400), (60_000, 400), (70_000, 413), (10 << 20, 413)):
        for path, more in (
            ("/auth/register", {"email": f"{uuid4().hex}@example.org"}),
            ("/auth/login", {"email": person.email}),
        ):
            answer = public.ask("POST", path, {"password": "x" * size, **more})
            assert answer.status_code == status, (path, size)
            assert "xxxx" not in answer.text
        answer = world.api.ask("POST", "/me/password", {"password": "x" * size})
        assert answer.status_code == status, size
    for weak in ("short", "x" * 10, "password123", "a" * 257, "\ud83e", "ab" * 129, "ﷺ" * 30):
        raw = json.dumps({"email": f"{uuid4().hex}@example.org", "password": weak}).encode()
        assert public.ask("POST", "/auth/register", raw=raw).status_code == 400, weak
    assert not seen.changed()


@pytest.mark.spec("S2-7", partial=True)
def test_a_password_is_the_same_however_a_keyboard_composed_it_and_in_no_other_way(
    world: World,
) -> None:
    """Any sign may be in one: none is cut off, folded or taken away."""
    public = world.public
    for password in PASSWORDS:
        email = f"{uuid4().hex}@example.org"
        public.post("/auth/register", {"email": email, "password": password})

        def login(text: str, email: str = email) -> int:
            answer = public.ask("POST", "/auth/login", {"email": email, "password": text})
            return answer.status_code

        assert login(password) == 200, password
        assert login(unicodedata.normalize("NFKC", password)) == 200, password
        assert login(unicodedata.normalize("NFKD", password)) == 200, password
        # One wrong guess each: five would lock.
        assert login(password[:-1]) == 401, password
        assert login(password.partition("\x00")[0] + "!") == 401, password


@pytest.mark.spec("S2-7", partial=True)
def test_a_name_is_one_line_that_prints(world: World, written: Written) -> None:
    public = world.public
    assert world.api.get("/me")
    bad: list[Any] = [
        f"a{chr(code)}b" for code in (*range(32), 0x7F, 0x80, 0x9F, 0x2028, 0x2029, 0x202E)
    ]
    bad += ["x" * 201, "\x00", 1, True, [], {}, ["x"]]
    seen = written.seen()
    for name in bad:
        body = {"email": f"{uuid4().hex}@example.org", "password": PASSWORD, "name": name}
        assert public.ask("POST", "/auth/register", body).status_code == 400, name
        assert world.api.ask("PATCH", "/me", {"name": name}).status_code == 400, name
    for half in (b"\\ud800", b"\\udfff", b"a\\ud83e", b"\xed\xa0\x80", b"\xff"):
        raw = b'{"email":"a@example.org","password":"%s","name":"%s"}' % (half, half)
        assert public.ask("POST", "/auth/register", raw=raw).status_code == 400, half
        raw = b'{"email":"a%s@example.org","password":"correct horse"}' % half
        assert public.ask("POST", "/auth/login", raw=raw).status_code == 400, half
    for locale in ("", "x", "e" * 36, "en_US", "../etc", "en\x00", "-", "1=1", "<b>"):
        assert world.api.ask("PATCH", "/me", {"locale": locale}).status_code == 400, locale
    for currency in ("", "eur", "EURO", "E", "€", "ＥＵＲ", "EUR\n", 978):
        assert world.api.ask("PATCH", "/me", {"currency": currency}).status_code == 400, currency
    assert not seen.changed()
    assert world.api.get("/me")["name"] == "mine"
