"""Somebody sends again what somebody sent: one effect, and no answer but one's own."""

from functools import partial
from typing import Any

import pytest

from identity.persons import Person, Site
from together import together


def books(person: Person, tenant: str | None = None) -> tuple[str, str]:
    """Two accounts."""
    return tuple(
        person.post("/accounts", {"name": name, "asset": "EUR", "kind": kind}, 201, tenant=tenant)[
            "id"
        ]
        for name, kind in (("Giro", "asset"), ("Shop", "expense"))
    )  # type: ignore[return-value]  # two


def payment(giro: str, shop: str) -> dict[str, Any]:
    return {
        "postings": [
            {"account_id": giro, "amount": {"amount": "-5.00", "asset": "EUR"}},
            {"account_id": shop, "amount": {"amount": "5.00", "asset": "EUR"}},
        ],
        "on_date": "2026-01-31",
    }


def balance(person: Person, account: str) -> str:
    (found,) = person.get(f"/accounts/{account}/balances")
    return str(found["amount"]["amount"])


@pytest.mark.invariant("T-05")
@pytest.mark.invariant("I-16")
def test_a_payment_that_is_sent_a_hundred_times_is_made_once(
    site: Site, second: Site, ada: Person
) -> None:
    giro, shop = books(ada)
    body = payment(giro, shop)

    def send(number: int) -> Any:
        here = (site, second)[number % 2]
        return here.ask("POST", "/entries", body, token=ada.access, key="pay-1")

    answers = together(*[partial(send, number) for number in range(20)])
    answers += [send(number) for number in range(80)]
    done = [each for each in answers if each.status_code == 201]
    assert {each.status_code for each in answers} <= {201, 409}
    assert len(done) >= 81
    assert len({each.data for each in done}) == 1
    assert balance(ada, giro) == "-5.00"
    # By another session of the same person it is the same request.
    again = ada.again().ask("POST", "/entries", body, key="pay-1")
    assert again.data == done[0].data
    assert balance(ada, giro) == "-5.00"


@pytest.mark.invariant("T-06")
def test_a_key_of_another_person_or_tenant_gives_nothing(
    site: Site, ada: Person, bob: Person
) -> None:
    business, other = ada.business(), ada.business("Other")
    ada.takes_in(business, bob, "accountant")
    body = {"name": "Giro"}
    mine = ada.ask("POST", "/accounts", body, tenant=business, key="k")
    secret = mine.json["data"]["id"]
    # A colleague with the same key and body is told what is so, and not what she was told.
    theirs = bob.ask("POST", "/accounts", body, tenant=business, key="k")
    assert (theirs.status_code, theirs.json["error"]["code"]) == (409, "ACCOUNT_EXISTS")
    # Her own, in other tenants, and his: other requests.
    for person, tenant in ((ada, other), (ada, None), (bob, None)):
        answer = person.ask("POST", "/accounts", body, tenant=tenant, key="k")
        assert answer.status_code == 201
        assert "Idempotency-Replayed" not in answer.headers
        assert secret not in answer.text
    # Another content under her key, another route under it, and her own again.
    assert ada.refused("POST", "/accounts", {"name": "X"}, tenant=business, key="k") == (
        422, "IDEMPOTENCY_KEY_REUSED",
    )  # fmt: skip
    assert ada.ask("PATCH", "/tenant", {"name": "Y"}, tenant=business, key="k").status_code == 200
    again = ada.ask("POST", "/accounts", body, tenant=business, key="k")
    assert (again.data, again.headers["Idempotency-Replayed"]) == (mine.data, "true")


@pytest.mark.invariant("T-06")
@pytest.mark.invariant("I-42")
def test_who_may_no_more_gets_no_kept_answer(site: Site, ada: Person, bob: Person) -> None:
    business = ada.business()
    ada.takes_in(business, bob, "accountant")
    ask = partial(bob.ask, "POST", "/accounts", {"name": "Giro"}, tenant=business, key="k")
    assert ask().status_code == 201
    path = f"/members/{bob.user_id}"
    ada.ask("PATCH", path, {"role": "viewer"}, tenant=business)
    assert ask().json["error"]["code"] == "PERMISSION_MISSING"
    ada.ask("DELETE", path, tenant=business)
    assert ask().json["error"]["code"] == "NOT_A_MEMBER"
    bob.post("/auth/logout")
    assert ask().status_code == 401


@pytest.mark.invariant("T-05")
def test_no_secret_is_kept_for_a_repeat(site: Site, ada: Person) -> None:
    """Routes whose answer has a secret in it take no key; nobody's have none to keep it under."""
    for path, body in (("/tokens", {"name": "key"}), ("/me/codes/offer", None)):
        assert ada.refused("POST", path, body, key="k") == (400, "VALIDATION")
    login = {"email": ada.email, "password": "correct horse battery"}
    first, second = (site.ask("POST", "/auth/login", login, key="k") for _ in range(2))
    assert {first.status_code, second.status_code} <= {200, 400}
    replies = site.sql("select convert_from(reply, 'UTF8') from finora.command")
    text = "\n".join(reply for (reply,) in replies)
    for secret in ("access_token", "refresh_token", "fin_", "otpauth:"):
        assert secret not in text
