"""Administrators: the operator's command makes them, and what they do to people."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from finora import Finora, Settings
from finora_core.identity.people.model import (
    AdminProtected,
    EmailTaken,
    PersonNotFound,
    UnknownRole,
)
from people.conftest import PASSWORD, Caller, SignUp, promoted

Run = Callable[..., tuple[int, Any]]


@pytest.fixture
def run(settings: Settings, finora: Finora) -> Run:
    """`finora admin` in a process of its own: its exit code and what it printed as JSON."""

    def run(*arguments: str) -> tuple[int, Any]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("FINORA_")}
        done = subprocess.run(
            [sys.executable, "-m", "finora", "admin", *arguments, "--json"],
            capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
            env=clean | {"FINORA_DATA": str(settings.data)},
        )  # fmt: skip
        return done.returncode, json.loads(done.stdout or "null") if done.stdout else done.stderr

    return run


@pytest.mark.spec("S4-12", partial=True)
@pytest.mark.spec("S4-14", partial=True)
def test_only_the_command_makes_an_administrator(
    run: Run, person: Caller, sign_up: SignUp, nobody: Caller
) -> None:
    other = sign_up("Other")
    assert person.refused("GET", "/people") == (403, "PERMISSION_MISSING")
    code, said = run("grant", person.email, "admin", "guard")
    assert (code, said["roles"]) == (0, ["admin", "guard"])
    # At once, for the session that is there.
    assert person.get("/people", tenant=None)
    for body in ({"roles": ["admin"]}, {"roles": ["seller", "admin"]}):
        refused = person.refused("POST", f"/people/{other.user_id}/roles", body)
        assert refused == (403, "ADMIN_PROTECTED")
    code, said = run("list", "--words", "p-")
    listed = {each["email"]: each["roles"] for each in said["people"]}
    assert listed[person.email] == ["admin", "guard"]
    assert other.email not in listed
    code, said = run("revoke", person.email, "admin")
    assert (code, said["roles"]) == (0, ["guard"])
    assert person.refused("GET", "/people") == (403, "PERMISSION_MISSING")
    code, said = run("grant", "nobody@example.org", "admin")
    assert (code, said["error"]["code"]) == (1, "PERSON_NOT_FOUND")


@pytest.mark.spec("S4-14", partial=True)
def test_the_command_makes_a_person_and_a_link(run: Run, nobody: Caller, finora: Finora) -> None:
    email = f"{uuid4()}@example.org"
    code, said = run("create", email, "--name", "Ada", "--role", "admin")
    assert (code, said["email"], said["roles"]) == (0, email, ["admin"])
    (link,) = parse_qs(urlsplit(said["link"]).query)["token"]
    refused = nobody.refused("POST", "/auth/login", {"email": email, "password": PASSWORD})
    assert refused == (401, "CREDENTIALS_INVALID")
    nobody.good("POST", "/auth/reset", {"password": PASSWORD, "link": link})
    found = nobody.good("POST", "/auth/login", {"email": email, "password": PASSWORD})
    ada = Caller(nobody.app, found["access_token"])
    assert ada.get("/me")["email_verified"] is True
    assert ada.get("/people")
    again = nobody.refused("POST", "/auth/reset", {"password": PASSWORD, "link": link})
    assert again == (400, "LINK_INVALID")
    with pytest.raises(EmailTaken):
        finora.operator.create(email)


@pytest.mark.spec("S4-14", partial=True)
def test_the_operator_bans_and_unlocks_whomever(
    finora: Finora, sign_up: SignUp, nobody: Caller
) -> None:
    person = promoted(sign_up(), finora)
    operator, said = finora.operator, {"email": person.email, "password": PASSWORD}
    for _ in range(5):
        nobody.refused("POST", "/auth/login", said | {"password": "wrong"})
    assert nobody.refused("POST", "/auth/login", said) == (423, "ACCOUNT_LOCKED")
    operator.unlock(person.email)
    nobody.good("POST", "/auth/login", said)
    assert operator.ban(person.email.upper()).banned_at is not None
    assert person.refused("GET", "/me")[0] in (401, 403)
    assert nobody.refused("POST", "/auth/login", said) == (403, "ACCOUNT_BANNED")
    assert operator.unban(person.email).banned_at is None
    nobody.good("POST", "/auth/login", said)
    with pytest.raises(PersonNotFound):
        operator.ban("nobody@example.org")
    with pytest.raises(UnknownRole):
        operator.grant(person.email, ["king"])
    with pytest.raises(UnknownRole):
        operator.create(f"{uuid4()}@example.org", roles=["king"])


@pytest.mark.spec("S4-14", partial=True)
def test_an_administrator_makes_a_person_who_gets_a_letter(
    administrator: Caller, finora: Finora, admin: Engine, settings: Settings, nobody: Caller
) -> None:
    email = f"{uuid4()}@example.org"
    asked = {"email": email, "name": "Ada", "roles": ["seller", "buyer", "seller"]}
    made = administrator.good("POST", "/people", asked, Idempotency_Key="once")
    assert made["roles"] == ["buyer", "seller"]
    assert administrator.good("POST", "/people", asked, Idempotency_Key="once") == made
    assert administrator.refused("POST", "/people", asked) == (409, "EMAIL_TAKEN")
    refused = administrator.refused("POST", "/people", asked | {"roles": ["admin"]})
    assert refused == (403, "ADMIN_PROTECTED")
    with admin.connect() as connection:
        purposes = "select purpose from finora.challenge where user_id = :u"
        found = list(connection.scalars(text(purposes), {"u": UUID(made["user_id"])}))
    assert found == ["reset"]
    finora.run_jobs()
    assert len(letters(settings.data / "mail", email)) == 1
    assert [each["user_id"] for each in administrator.get(f"/people?words={email}")] == [
        made["user_id"]
    ]


def letters(folder: Path, email: str) -> list[Path]:
    return [path for path in folder.glob("*.eml") if email in path.read_text()]


@pytest.mark.spec("S4-14", partial=True)
def test_administrators_do_nothing_to_each_other(
    administrator: Caller, sign_up: SignUp, finora: Finora
) -> None:
    other = promoted(sign_up(), finora)
    at = f"/people/{other.user_id}"
    for path, body in (("ban", None), ("unban", None), ("reset", None), ("roles", {"roles": []})):
        refused = administrator.refused("POST", f"{at}/{path}", body)
        assert refused == (403, AdminProtected.code), path
    assert other.get("/me")["roles"] == ["admin"]
