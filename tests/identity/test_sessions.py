"""Signing in, what a token says, staying signed in, and the list of one's sessions."""

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from injector import Injector

from finora import Finora
from finora_adapters.postgres.signing import AGAIN_S
from finora_adapters.settings import BadSettings, from_environment
from finora_core.identity.model import TokenInvalid
from finora_core.identity.sessions.door import Door
from finora_core.identity.sessions.model import Client, SessionKind
from finora_core.identity.sessions.service import SessionService
from identity.persons import OTHER, PASSWORD, Person, Site, an_address


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


@pytest.mark.spec("S2-13")
@pytest.mark.spec("S2-15", partial=True)
def test_signing_in_opens_a_session(site: Site) -> None:
    person = site.register()
    ((kind, method, ended),) = site.sql(
        "select kind, method, ended_at from finora.session where id = :id", id=person.session_id
    )
    assert (kind, method, ended) == ("bearer", "password", None)
    said = claims(person.access)
    assert said["sub"] == said["userId"] == person.user_id
    assert said["role"] == "owner"
    assert said["exp"] - said["iat"] == 15 * 60
    assert claims(person.refresh)["exp"] - claims(person.refresh)["iat"] == 7 * 86_400
    assert person.get("/me")["user_id"] == person.user_id


@pytest.mark.spec("S2-11")
@pytest.mark.invariant("I-45")
def test_an_unknown_address_and_a_wrong_password_are_told_alike(site: Site, ada: Person) -> None:
    known, unknown = site.login(ada.email, OTHER), site.login(an_address(), OTHER)
    assert known.status_code == unknown.status_code == 401
    assert known.json["error"] == unknown.json["error"]
    assert known.json["error"]["code"] == "CREDENTIALS_INVALID"
    assert set(known.headers.keys()) == set(unknown.headers.keys())


@pytest.mark.spec("S2-15")
def test_each_request_is_checked_whole(site: Site, ada: Person, inside: Injector) -> None:
    door = inside.get(Door)
    now = datetime.now(UTC)
    who = {"sub": ada.user_id, "sid": ada.session_id, "tid": ada.tenant_id}
    late = door.tokens.sign("access", who, expires_at=now - timedelta(minutes=2),
                            issued_at=now - timedelta(minutes=17))  # fmt: skip
    unnamed = door.tokens.sign("access", {"sub": ada.user_id},
                               expires_at=now + timedelta(minutes=9), issued_at=now)  # fmt: skip
    other_session = door.tokens.sign("access", who | {"sid": ada.user_id},
                                     expires_at=now + timedelta(minutes=9),
                                     issued_at=now)  # fmt: skip
    header, payload, signature = ada.access.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    forged = base64.urlsafe_b64encode(
        json.dumps(claims(ada.access) | {"sub": ada.session_id}).encode()
    ).decode().rstrip("=")  # fmt: skip
    wrong = (late, unnamed, other_session, ada.refresh, ada.device or "", f"{none}.{payload}.",
             f"{header}.{forged}.{signature}", f"{header}.{payload}.{signature[:-2]}",
             f"{header}.{payload}", "", "x", "fin_" + "A" * 88)  # fmt: skip
    for token in wrong:
        assert ada.refused("GET", "/me", token=token)[0] == 401, token
    assert ada.get("/me")
    # Beside a good one of somebody else's: the ids in it are not mixed.
    eve = site.register()
    mixed = door.tokens.sign("access", who | {"sub": eve.user_id},
                             expires_at=now + timedelta(minutes=9), issued_at=now)  # fmt: skip
    assert ada.refused("GET", "/me", token=mixed)[0] == 401


@pytest.mark.spec("S2-15")
@pytest.mark.parametrize(
    "wrong", ["1:" + "ab" * 16, "1:" + "ab" * 31, "1:short", "ab" * 32, "1:" + "zz" * 32,
              "1:" + "00" * 32]
)  # fmt: skip
def test_a_secret_that_is_too_short_stops_the_start(wrong: str) -> None:
    with pytest.raises(BadSettings) as refused:
        from_environment({"FINORA_SECRET_KEYS": wrong})
    assert [name for name, _ in refused.value.details] == ["FINORA_SECRET_KEYS"]
    assert wrong not in str(refused.value)


@pytest.mark.spec("S2-15", partial=True)
def test_a_short_secret_of_operators_stops_the_start() -> None:
    with pytest.raises(BadSettings):
        from_environment({"FINORA_JOBS_HMAC_SECRET": "x" * 31})
    assert from_environment({"FINORA_JOBS_HMAC_SECRET": "x" * 32})


def rotate(finora: Finora) -> None:
    """And let the second go by in which no process asks for new keys twice."""
    finora.keys.rotate()
    time.sleep(AGAIN_S)


@pytest.mark.spec("S2-8", partial=True)
def test_sessions_outlive_the_key_that_signed_them(site: Site, ada: Person, finora: Finora) -> None:
    """A new key signs; what the old one signed is good for a week more."""
    link = site.asked(ada.email, "magic").link
    rotate(finora)
    assert ada.get("/me")["user_id"] == ada.user_id
    refreshed = ada.refreshed()
    assert refreshed.status_code == 200
    assert site.ask("POST", "/auth/magic", {"link": link}).status_code == 200
    assert site.login(ada.email, device=ada.device).json["data"]["device"] is None


@pytest.mark.spec("S2-8", partial=True)
@pytest.mark.parametrize("kind", ["code", "reset"])
def test_a_code_outlives_the_key_that_it_was_made_with(
    site: Site, ada: Person, finora: Finora, kind: str
) -> None:
    """And the one who sent it may sign with a newer key than the one who reads it."""
    rotate(finora)
    code = site.asked(ada.email, kind).code
    rotate(finora)
    if kind == "code":
        body = {"email": ada.email, "sent": code}
        assert site.ask("POST", "/auth/code", body).status_code == 200
    else:
        body = {"email": ada.email, "code": code, "password": OTHER}
        assert site.ask("POST", "/auth/reset", body).status_code == 200


# --- staying signed in ---


@pytest.mark.spec("S0-65")
def test_sessions_are_listed_and_revoked(site: Site, ada: Person) -> None:
    phone = ada.again(agent="phone", address="10.1.2.3")
    laptop = ada.again(agent="laptop")
    listed = ada.get("/me/sessions")
    assert [each["id"] for each in listed] == [
        laptop.session_id, phone.session_id, ada.session_id,
    ]  # fmt: skip
    assert [each["current"] for each in listed] == [False, False, True]
    assert (listed[1]["agent"], listed[1]["network"]) == ("phone", "10.1.2.0")
    assert ada.ask("DELETE", f"/me/sessions/{phone.session_id}").status_code == 200
    assert phone.refused("GET", "/me") == (401, "TOKEN_INVALID")
    assert phone.refreshed().json["error"]["code"] == "REFRESH_INVALID"
    assert laptop.get("/me")
    assert ada.post("/me/sessions/end-others") == {"ended": 1}
    assert laptop.refused("GET", "/me")[0] == 401
    (left,) = ada.get("/me/sessions")
    assert left["id"] == ada.session_id


@pytest.mark.spec("S0-65")
def test_a_session_rolls_for_a_week_and_ends_with_the_month(
    site: Site, ada: Person, inside: Injector
) -> None:
    """A browser's: it is renewed by what it asks, at most daily, for thirty days."""
    sessions, client = inside.get(SessionService), Client(agent="browser")
    browser = sessions.sign_in(
        client, ada.email, PASSWORD, request_id="r", kind=SessionKind.BROWSER
    )
    assert browser.refresh is None

    def row() -> Any:
        ((seen, ends, created),) = site.sql(
            "select seen_at, ends_at, created_at from finora.session where id = :id",
            id=browser.session_id,
        )
        return seen, ends, created

    def age(**columns: str) -> None:
        for column, ago in columns.items():
            site.sql(
                f"update finora.session set {column} = {column} - cast(:ago as interval) "
                "where id = :id", ago=ago, id=browser.session_id,
            )  # fmt: skip

    def prove() -> Any:
        return sessions.prove(browser.access, "r", kind=SessionKind.BROWSER)

    seen, ends, created = row()
    assert ends - created == timedelta(days=30)
    prove()
    assert row()[0] == seen
    age(seen_at="23 hours")
    prove()
    assert datetime.now(UTC) - row()[0] > timedelta(hours=22)
    age(seen_at="2 hours")
    proof = prove()
    assert datetime.now(UTC) - row()[0] < timedelta(minutes=1)
    # Whoever keeps the proof comes back in time for the next renewal.
    assert proof.left is not None
    assert proof.left < timedelta(days=1, seconds=1)
    age(seen_at="7 days")
    with pytest.raises(TokenInvalid):
        prove()
    age(seen_at="-7 days")
    prove()
    age(ends_at="31 days")
    with pytest.raises(TokenInvalid):
        prove()


@pytest.mark.spec("S0-65", partial=True)
def test_a_refresh_never_goes_past_the_month(site: Site, ada: Person) -> None:
    ada.age(ends_at="29 days 23 hours 50 minutes")
    said = ada.refreshed().json["data"]
    left = datetime.fromtimestamp(claims(said["refresh_token"])["exp"], UTC) - datetime.now(UTC)
    assert left < timedelta(minutes=11)
    ada.age(ends_at="10 minutes")
    again = ada.refreshed(said["refresh_token"])
    assert again.json["error"]["code"] == "REFRESH_INVALID"


# --- the end of it, and another password ---


@pytest.mark.spec("S2-16")
@pytest.mark.parametrize("by", ["link", "code"])
def test_a_forgotten_password_is_set_once_by_a_letter(site: Site, by: str) -> None:
    ada = site.verified()
    other = ada.again()
    letter = site.asked(ada.email, "reset")
    given = {"link": letter.link} if by == "link" else {"email": ada.email, "code": letter.code}
    weak = given | {"password": "password123"}
    assert site.refused("POST", "/auth/reset", weak) == (400, "PASSWORD_WEAK")
    body = given | {"password": OTHER}
    assert site.ask("POST", "/auth/reset", body).status_code == 200
    assert site.refused("POST", "/auth/reset", body) == (400, "LINK_INVALID")
    for person in (ada, other):
        assert person.refused("GET", "/me")[0] == 401
        assert person.refreshed().status_code == 401
    assert site.login(ada.email, PASSWORD).status_code == 401
    assert site.login(ada.email, OTHER).status_code == 200
    assert ada.letter("Your password was changed")
    ((expires, begun),) = site.sql(
        "select expires_at, created_at from finora.challenge "
        "where user_id = :id and purpose = 'reset'", id=ada.user_id,
    )  # fmt: skip
    assert timedelta(minutes=59) < expires - begun <= timedelta(hours=1)


@pytest.mark.spec("S2-16", partial=True)
def test_a_late_link_resets_nothing(site: Site, ada: Person) -> None:
    letter = site.asked(ada.email, "reset")
    site.sql("update finora.challenge set expires_at = now() where user_id = :id", id=ada.user_id)
    for given in ({"link": letter.link}, {"email": ada.email, "code": letter.code}):
        body = given | {"password": OTHER}
        assert site.refused("POST", "/auth/reset", body) == (400, "LINK_INVALID")
    assert ada.get("/me")


@pytest.mark.invariant("T-10")
def test_older_letters_are_void_once_the_password_is_another(site: Site, ada: Person) -> None:
    """Whoever has an old letter does not come in by it after its owner has reacted."""
    magic, code = site.asked(ada.email, "magic").link, site.asked(ada.email, "code").code
    reset = site.asked(ada.email, "reset")
    ada.post("/me/password", {"password": OTHER})
    for path, body in (
        ("/auth/magic", {"link": magic}),
        ("/auth/code", {"email": ada.email, "sent": code}),
        ("/auth/reset", {"link": reset.link, "password": PASSWORD}),
        ("/auth/reset", {"email": ada.email, "code": reset.code, "password": PASSWORD}),
    ):
        assert site.refused("POST", path, body) == (400, "LINK_INVALID")
    assert site.login(ada.email, OTHER).status_code == 200


# --- without a password ---


@pytest.mark.spec("S0-66")
def test_a_magic_link_opens_one_session_within_a_quarter_of_an_hour(
    site: Site, ada: Person
) -> None:
    letter = site.asked(ada.email, "magic")
    assert "15 minutes" in letter.text
    answer = site.ask("POST", "/auth/magic", {"link": letter.link})
    assert site.person(answer).user_id == ada.user_id
    assert site.refused("POST", "/auth/magic", {"link": letter.link}) == (400, "LINK_INVALID")
    ((lasts,),) = site.sql(
        "select expires_at - created_at from finora.challenge "
        "where user_id = :id and purpose = 'magic'", id=ada.user_id,
    )  # fmt: skip
    assert timedelta(minutes=14) < lasts <= timedelta(minutes=15)


@pytest.mark.spec("S0-66")
def test_a_code_has_five_minutes_and_five_tries(site: Site, ada: Person) -> None:
    letter = site.asked(ada.email, "code")
    assert "5 minutes" in letter.text
    wrong = f"{(int(letter.code) + 1) % 1_000_000:06}"
    body = {"email": ada.email, "sent": wrong}
    for _ in range(4):
        assert site.refused("POST", "/auth/code", body) == (400, "LINK_INVALID")
    right = body | {"sent": letter.code}
    assert site.person(site.ask("POST", "/auth/code", right)).user_id == ada.user_id
    assert site.refused("POST", "/auth/code", right) == (400, "LINK_INVALID")
    ((lasts,),) = site.sql(
        "select expires_at - created_at from finora.challenge "
        "where user_id = :id and purpose = 'code'", id=ada.user_id,
    )  # fmt: skip
    assert timedelta(minutes=4) < lasts <= timedelta(minutes=5)


@pytest.mark.spec("S0-66", partial=True)
def test_a_code_that_was_guessed_at_five_times_is_good_no_more(site: Site, ada: Person) -> None:
    letter = site.asked(ada.email, "code")
    wrong = f"{(int(letter.code) + 1) % 1_000_000:06}"
    for _ in range(5):
        site.ask("POST", "/auth/code", {"email": ada.email, "sent": wrong})
    site.sql("delete from finora.guess")
    body = {"email": ada.email, "sent": letter.code}
    assert site.refused("POST", "/auth/code", body) == (400, "LINK_INVALID")
