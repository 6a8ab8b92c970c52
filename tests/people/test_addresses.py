"""Addresses: their rules, one default whoever asks at once, nobody else's."""

import re
from importlib.resources import files
from typing import Any
from uuid import uuid4

import pytest

from finora_core.identity.addresses.countries import COUNTRIES
from people.conftest import Caller, SignUp
from together import errors, together

HOME = {"label": "Home", "name": "Ada Byron", "lines": ["Hauptstraße 1", "Stiege 2"],
        "city": "Wien", "postal_code": "1010", "country": "AT"}  # fmt: skip
PATH = "/me/addresses"


def add(person: Caller, **more: Any) -> Any:
    return person.good("POST", PATH, HOME | more)


def defaults(person: Caller) -> list[str]:
    return [each["label"] for each in person.get(PATH) if each["is_default"]]


@pytest.mark.spec("S4-15")
def test_addresses_are_kept_changed_and_deleted(person: Caller) -> None:
    home = add(person, phone="+43 1 234567")
    assert home["is_default"] is True
    assert {key: home[key] for key in HOME} == HOME
    assert (home["region"], home["phone"]) == ("", "+43 1 234567")
    work = add(person, label="Work", country="SG", city="", postal_code="")
    assert work["is_default"] is False
    assert person.get(PATH) == [home, work]
    at = f"{PATH}/{home['id']}"
    changed = person.good("PATCH", at, {"city": "Graz", "phone": None})
    assert changed == home | {"city": "Graz", "phone": None}
    assert person.get(PATH) == [changed, work]
    person.good("DELETE", at)
    assert [each["label"] for each in person.get(PATH)] == ["Work"]
    assert person.refused("DELETE", at) == (404, "ADDRESS_NOT_FOUND")
    assert person.refused("PATCH", at, {"city": "Linz"}) == (404, "ADDRESS_NOT_FOUND")


@pytest.mark.spec("S4-15")
def test_there_is_one_default_as_long_as_there_is_any(person: Caller) -> None:
    first, second, third = (add(person, label=label) for label in ("a", "b", "c"))
    assert defaults(person) == ["a"]
    assert person.good("POST", f"{PATH}/{second['id']}/default")["is_default"] is True
    assert defaults(person) == ["b"]
    add(person, label="d", is_default=True)
    assert defaults(person) == ["d"]
    person.good("POST", f"{PATH}/{third['id']}/default")
    person.good("DELETE", f"{PATH}/{third['id']}")
    assert defaults(person) == ["a"]
    person.good("DELETE", f"{PATH}/{first['id']}")
    assert defaults(person) == ["b"]
    assert person.refused("POST", f"{PATH}/{uuid4()}/default") == (404, "ADDRESS_NOT_FOUND")


@pytest.mark.spec("S4-15")
def test_of_many_at_once_one_is_the_default(person: Caller) -> None:
    results = together(*[lambda: add(person, is_default=True)] * 6)
    assert not errors(results)
    made = person.get(PATH)
    assert sum(each["is_default"] for each in made) == 1
    results = together(
        *(lambda each=each: person.good("POST", f"{PATH}/{each['id']}/default") for each in made)
    )
    assert not errors(results)
    assert len(defaults(person)) == 1


def test_a_person_has_twenty_addresses_at_most(person: Caller) -> None:
    for _ in range(18):
        add(person)
    results = together(*[lambda: person.ask("POST", PATH, HOME).status_code] * 5)
    assert sorted(results) == [201, 201, 409, 409, 409]
    assert person.refused("POST", PATH, HOME) == (409, "TOO_MANY_ADDRESSES")


def test_an_address_is_its_persons_alone(person: Caller, sign_up: SignUp, nobody: Caller) -> None:
    home, stranger = add(person), sign_up()
    at = f"{PATH}/{home['id']}"
    assert stranger.get(PATH) == []
    for method, path, body in (
        ("PATCH", at, {"city": "Linz"}), ("DELETE", at, None), ("POST", f"{at}/default", None)
    ):  # fmt: skip
        assert stranger.refused(method, path, body) == (404, "ADDRESS_NOT_FOUND")
        assert nobody.refused(method, path, body)[0] == 401
    assert person.get(PATH) == [home]


@pytest.mark.parametrize(
    "wrong",
    [{"label": ""}, {"label": "x" * 51}, {"name": ""}, {"name": "a\tb"}, {"lines": []},
     {"lines": ["a"] * 5}, {"lines": [""]}, {"lines": ["a\nb"]}, {"lines": "a"},
     {"country": "at"}, {"country": "XX"}, {"country": "AUT"},
     {"postal_code": "1" * 21}, {"city": "x" * 101}, {"phone": "nobody"}, {"phone": "12"},
     {"region": "\u202e"}, {"more": "x"}],
    ids=str,
)  # fmt: skip
def test_what_is_no_address_is_refused(person: Caller, wrong: dict[str, Any]) -> None:
    assert person.refused("POST", PATH, HOME | wrong)[0] == 400
    home = add(person)
    assert person.refused("PATCH", f"{PATH}/{home['id']}", wrong)[0] == 400
    assert person.get(PATH) == [home]


def test_a_repeat_makes_no_second_address(person: Caller) -> None:
    sent = {"Idempotency_Key": "home"}
    first = person.good("POST", PATH, HOME, **sent)
    assert person.good("POST", PATH, HOME, **sent) == first
    assert person.get(PATH) == [first]
    assert person.refused("POST", PATH, HOME | {"city": "Graz"}, **sent)[0] == 422


def test_countries_are_those_of_iso_3166() -> None:
    pytest.importorskip("tzdata")
    lines = (files("tzdata") / "zoneinfo/iso3166.tab").read_text().splitlines()
    assert {line.split("\t")[0] for line in lines if not line.startswith("#")} == COUNTRIES
    assert len(COUNTRIES) == 249
    assert all(re.fullmatch("[A-Z]{2}", code) for code in COUNTRIES)
