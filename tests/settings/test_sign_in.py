"""Settings of sign-in: what goes together, what production refuses, and no secret in any text."""

import json
import secrets
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from finora import Settings
from finora_adapters.settings import BadSettings, OidcClient, check_production, from_environment

READY = {
    "FINORA_ENV": "production", "FINORA_DATABASE_URL": "postgresql://f:p@db.example.com/f",
    "FINORA_REDIS_URL": "redis://cache:6379/0", "FINORA_STORAGE_DIRECTORY": "/srv/files",
    "FINORA_SECRET_KEYS": f"1:{secrets.token_hex(32)}", "FINORA_PUBLIC_URL": "https://money.example.com",
    "FINORA_MAIL_SMTP_URL": "smtps://mail.example.com",
    "FINORA_MAIL_FROM": "post@example.com",
}  # fmt: skip
GOOGLE = {"name": "google", "client_id": "id.apps", "client_secret": "hunter2"}


def problems(environment: dict[str, str]) -> dict[str, str]:
    with pytest.raises(BadSettings) as caught:
        from_environment(environment)
    assert "hunter2" not in str(caught.value) + repr(caught.value.details)
    return dict(caught.value.details)


def issuers(*listed: dict[str, Any]) -> dict[str, str]:
    return {"FINORA_OIDC_ISSUERS": json.dumps(listed)}


def test_nothing_is_needed_in_production() -> None:
    settings = from_environment(READY)
    check_production(settings)
    assert settings.passkeys is None
    assert settings.oidc_clients == ()
    assert settings.password_memory_kib == 19_456


def test_a_laptop_has_passkeys_of_its_own() -> None:
    assert Settings().passkeys == ("localhost", ("http://localhost:4000",))
    assert Settings(http_port=5000).passkeys == ("localhost", ("http://localhost:5000",))


def test_issuers_are_listed_as_json() -> None:
    own = {"name": "own", "client_id": "finora", "issuer": "https://id.example/realms/a"}
    clients = from_environment(issuers(GOOGLE, own)).oidc_clients
    assert clients == (
        OidcClient(
            name="google", client_id="id.apps", client_secret=SecretStr("hunter2"),
            issuer="https://accounts.google.com",
        ),
        OidcClient(name="own", client_id="finora", issuer="https://id.example/realms/a"),
    )  # fmt: skip
    settings = from_environment(issuers(GOOGLE) | READY)
    assert "hunter2" not in repr(settings) + str(settings.oidc_clients) + settings.model_dump_json()


@pytest.mark.parametrize(
    "text",
    ["", "hunter2", "{}", "[1]", '["hunter2"]', "[{}]", '[{"name": "hunter2"}]',
     json.dumps([GOOGLE | {"secret": "hunter2"}]), json.dumps([GOOGLE, GOOGLE]),
     json.dumps([GOOGLE | {"name": "Google"}]), json.dumps([GOOGLE | {"name": "other"}]),
     json.dumps([GOOGLE | {"client_id": ""}]),
     json.dumps([GOOGLE | {"client_secret": ["hunter2"]}]),
     *(json.dumps([GOOGLE | {"issuer": url}])
       for url in ("http://id.example", "id.example", "https://", "https://a@b.example",
                   "https://id.example?x=1", "https://id.example#x", "file:///x"))],
)  # fmt: skip
def test_issuers_that_are_not_sound(text: str) -> None:
    assert list(problems({"FINORA_OIDC_ISSUERS": text})) == ["FINORA_OIDC_ISSUERS"]


def test_an_issuer_of_this_machine_is_for_a_laptop() -> None:
    local = GOOGLE | {"issuer": "http://127.0.0.1:9000"}
    assert from_environment(issuers(local)).oidc_clients[0].issuer == "http://127.0.0.1:9000"
    assert list(problems(issuers(local) | READY)) == ["FINORA_OIDC_ISSUERS"]
    external = {"FINORA_EXTERNAL_ISSUER": "http://localhost:9", "FINORA_EXTERNAL_AUDIENCE": "a"}
    assert from_environment(external).external_issuer == "http://localhost:9"
    assert list(problems(external | READY)) == ["FINORA_EXTERNAL_ISSUER"]


@pytest.mark.parametrize(
    ("given", "wrong"),
    [({"EXTERNAL_ISSUER": "https://id.example"}, "EXTERNAL_AUDIENCE"),
     ({"EXTERNAL_AUDIENCE": "finora"}, "EXTERNAL_ISSUER"),
     ({"EXTERNAL_ISSUER": "http://id.example", "EXTERNAL_AUDIENCE": "a"}, "EXTERNAL_ISSUER"),
     ({"EXTERNAL_ISSUER": "", "EXTERNAL_AUDIENCE": "a"}, "EXTERNAL_ISSUER"),
     ({"EXTERNAL_TENANT_CLAIM": ""}, "EXTERNAL_TENANT_CLAIM"),
     ({"PASSKEY_RP_ID": "https://finora.example"}, "PASSKEY_RP_ID"),
     ({"PASSKEY_RP_ID": "finora.example:443"}, "PASSKEY_RP_ID"),
     ({"PASSKEY_RP_ID": "Finora.example"}, "PASSKEY_RP_ID"),
     ({"PASSKEY_ORIGINS": "https://finora.example"}, "PASSKEY_ORIGINS"),
     *(({"PASSKEY_RP_ID": "finora.example", "PASSKEY_ORIGINS": origin}, "PASSKEY_ORIGINS")
       for origin in ("https://evil.example", "http://finora.example", "https://evilfinora.example",
                      "https://finora.example/", "https://finora.example.evil.example", "finora",
                      "https://finora.example,https://evil.example")),
     ({"TELEGRAM_MAX_AGE_S": "29"}, "TELEGRAM_MAX_AGE_S"),
     ({"PASSWORD_MEMORY_KIB": "7"}, "PASSWORD_MEMORY_KIB"),
     ({"PASSWORD_ROUNDS": "0"}, "PASSWORD_ROUNDS"),
     ({"PASSWORD_HASHERS": "0"}, "PASSWORD_HASHERS"),
     ({"PASSWORD_WAITING": "-1"}, "PASSWORD_WAITING")],
)  # fmt: skip
def test_what_does_not_go_together(given: dict[str, str], wrong: str) -> None:
    named = {f"FINORA_{name}": value for name, value in given.items()}
    assert list(problems(named)) == [f"FINORA_{wrong}"]


@pytest.mark.parametrize(
    "origins", ["", "https://finora.example", "https://app.finora.example:8443, https://finora.example",
                "https://finora.example,android:apk-key-hash:AbC"],
)  # fmt: skip
def test_origins_of_a_site(origins: str) -> None:
    given = {"FINORA_PASSKEY_RP_ID": "finora.example", "FINORA_PASSKEY_ORIGINS": origins}
    settings = from_environment(given | READY)
    listed = [each.strip() for each in origins.split(",") if each]
    assert settings.passkeys == ("finora.example", tuple(listed or ["https://finora.example"]))


def test_production_has_a_domain_of_its_own() -> None:
    assert list(problems(READY | {"FINORA_PASSKEY_RP_ID": "localhost"})) == [
        "FINORA_PASSKEY_RP_ID", "FINORA_PASSKEY_ORIGINS"
    ]  # fmt: skip
    assert list(problems(READY | {"FINORA_PASSKEY_ORIGINS": "https://a.example"})) == [
        "FINORA_PASSKEY_ORIGINS"
    ]


@pytest.mark.parametrize(
    ("memory", "rounds", "fine"),
    [("19456", "2", True), ("12288", "3", True), ("9216", "4", True), ("7168", "5", True),
     ("47104", "1", True), ("19456", "1", False), ("64", "1", False), ("8", "20", False)],
)  # fmt: skip
def test_production_refuses_passwords_that_are_guessed_fast(
    memory: str, rounds: str, fine: bool
) -> None:
    cost = {"FINORA_PASSWORD_MEMORY_KIB": memory, "FINORA_PASSWORD_ROUNDS": rounds}
    assert from_environment(cost).password_memory_kib == int(memory)
    if fine:
        assert from_environment(cost | READY).password_rounds == int(rounds)
    else:
        assert list(problems(cost | READY)) == ["FINORA_PASSWORD_MEMORY_KIB"]
        both = problems(cost | READY | {"FINORA_POOL_SIZE": "0"})
        assert set(both) == {"FINORA_PASSWORD_MEMORY_KIB", "FINORA_POOL_SIZE"}


def test_a_client_given_in_code_is_checked_alike() -> None:
    for wrong in ({"name": "A"}, {"issuer": "http://id.example"}, {"extra": 1}):
        with pytest.raises(ValidationError):
            OidcClient(**{**GOOGLE, **wrong})
    with pytest.raises(ValidationError):
        Settings(oidc_issuers=SecretStr("hunter2"))
