"""Tokens of another service: its tenants and users are tenants and users here, by its roles."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import attrs
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from pytest_httpserver import HTTPServer
from sqlalchemy import Engine

from finora import Settings
from finora_adapters.compose import Opened
from finora_core.identity.external.service import role_of, tenant_key, user_key
from finora_core.identity.model import TokenInvalid
from finora_core.identity.roles import BY_ROLE, Role
from finora_core.identity.verifiers import Claims
from finora_core.kernel.clock import SystemClock
from finora_web.main import build
from people.conftest import Caller, SignUp

AUDIENCE = "finora-api"


@attrs.define
class Service:
    """Publishes its keys on a socket and gives out tokens."""

    server: HTTPServer
    key: ECKey

    @property
    def url(self) -> str:
        return self.server.url_for("").rstrip("/")

    def publish(self) -> None:
        said = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        at = "/.well-known/openid-configuration"
        self.server.expect_request(at).respond_with_json(said)
        keys = {"keys": [self.key.as_dict(private=False, kid="k1", use="sig", alg="ES256")]}
        self.server.expect_request("/keys").respond_with_json(keys)

    def token(self, key: ECKey | None = None, **changed: Any) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "u7", "iat": now, "exp": now + 300,
                  "tenant": f"acme-{uuid4()}", "role": "owner"}  # fmt: skip
        claims = {name: value for name, value in (claims | changed).items() if value is not None}
        return jwt.encode({"alg": "ES256", "kid": "k1"}, claims, key or self.key)


@pytest.fixture
def service(httpserver: HTTPServer) -> Service:
    made = Service(httpserver, ECKey.generate_key("P-256"))
    made.publish()
    return made


@pytest.fixture
def ask(service: Service, settings: Settings, opened: Opened) -> Iterator[Any]:
    """A caller with a token of the service, of an installation that takes those."""
    told = settings.model_copy(
        update={"external_issuer": service.url, "external_audience": AUDIENCE}
    )
    app = build(told, opened)
    yield lambda **claims: Caller(app, service.token(**claims))


@pytest.mark.spec("S3-7")
def test_a_token_of_another_service_asks_in_its_tenant(ask: Any) -> None:
    tenant = f"acme-{uuid4()}"
    ada, bob, other = ask(tenant=tenant), ask(tenant=tenant, sub="u8"), ask()
    made = ada.good("POST", "/accounts", {"name": "Giro", "asset": "EUR"})
    assert [each["id"] for each in bob.get("/accounts")] == [made["id"]]
    assert other.get("/accounts") == []
    assert len(ada.get("/members")) == 2
    # The same subject comes back as the same user, with another token.
    again = ask(tenant=tenant)
    assert [each["id"] for each in again.get("/accounts")] == [made["id"]]
    assert len(ada.get("/members")) == 2
    assert again.get("/wallet/summary") == again.get("/wallet/summary")


@pytest.mark.spec("S3-7", partial=True)
def test_the_role_is_what_the_service_says_each_time(ask: Any) -> None:
    tenant = f"acme-{uuid4()}"
    viewer = ask(tenant=tenant, role=None)
    account = {"name": "Giro"}
    assert viewer.get("/accounts") == []
    assert viewer.refused("POST", "/accounts", account) == (403, "PERMISSION_MISSING")
    accountant = ask(tenant=tenant, role="accountant")
    accountant.good("POST", "/accounts", account)
    (member,) = accountant.get("/members")
    assert member["role"] == "accountant"
    # The older token says viewer, and is no more than that.
    assert viewer.refused("POST", "/accounts", account) == (403, "PERMISSION_MISSING")
    own = ask(tenant=None, role="viewer", sub=f"s-{uuid4()}")
    own.good("POST", "/accounts", account)
    assert ask(tenant=tenant, role="root").refused("GET", "/accounts") == (401, "TOKEN_INVALID")


@pytest.mark.spec("S3-7", partial=True)
def test_nobody_of_another_service_is_a_person_here(ask: Any) -> None:
    ada = ask()
    for method, path in (("GET", "/me"), ("GET", "/tenants"), ("GET", "/me/export"),
                         ("GET", "/people")):  # fmt: skip
        assert ada.refused(method, path) == (403, "PERMISSION_MISSING")
    # Nor is there a session that could be proven again.
    said = {"name": "x", "permissions": ["books:read"]}
    assert ada.refused("POST", "/tokens", said) == (403, "STEP_UP_REQUIRED")
    assert ada.refused("GET", "/accounts", tenant=uuid4()) == (403, "NOT_A_MEMBER")


@pytest.mark.spec("S3-7", partial=True)
@pytest.mark.invariant("I-46")
def test_a_fresh_proof_is_the_service_s_to_tell(ask: Any) -> None:
    """By `auth_time`, as OpenID Connect has it; when a token was given out says nothing."""
    now = int(datetime.now(UTC).timestamp())
    for changed in ({}, {"auth_time": now - 301}):
        assert ask(**changed).refused("GET", "/export") == (403, "STEP_UP_REQUIRED")
    for wrong in (now + 3_600, "now", True):
        refused = ask(auth_time=wrong).refused("GET", "/export")
        assert refused == (401, "TOKEN_INVALID"), wrong
    assert ask(auth_time=now - 200).ask("GET", "/export").status_code == 200


@pytest.mark.spec("S3-7", partial=True)
@pytest.mark.parametrize(
    "changed",
    [{"aud": "another"}, {"exp": 1}, {"sub": None}, {"iss": "https://evil.example"},
     {"iss": "finora"}, {"key": ECKey.generate_key("P-256")}, {"tenant": 7}],
    ids=lambda each: str(*each),
)  # fmt: skip
def test_what_the_service_did_not_say_for_us_is_refused(ask: Any, changed: Any) -> None:
    assert ask(**changed).refused("GET", "/accounts") == (401, "TOKEN_INVALID")


def test_people_and_tokens_of_our_own_are_taken_beside_it(
    ask: Any, person: Caller, sign_up: SignUp
) -> None:
    app = ask().app
    assert Caller(app, person.token).get("/me")["email"] == person.email
    token = person.good("POST", "/tokens", {"name": "x", "permissions": ["books:read"]})["text"]
    assert Caller(app, token).get("/accounts") == []


def test_without_a_setting_no_other_service_is_taken(service: Service, person: Caller) -> None:
    stranger = Caller(person.app, service.token())
    assert stranger.refused("GET", "/accounts") == (401, "TOKEN_INVALID")


def test_a_service_that_does_not_answer_is_unavailable(
    settings: Settings, opened: Opened, service: Service, httpserver: HTTPServer
) -> None:
    httpserver.clear()
    told = {"external_issuer": service.url, "external_audience": AUDIENCE}
    app = build(settings.model_copy(update=told), opened)
    asked = Caller(app, service.token()).refused("GET", "/accounts")
    assert asked == (503, "ISSUER_UNAVAILABLE")


def test_an_ended_token_is_not_remembered(ask: Any) -> None:
    short = ask(exp=int(time.time()) + 3)
    assert short.get("/accounts") == []
    time.sleep(3.1)
    assert short.refused("GET", "/accounts") == (401, "TOKEN_INVALID")


def test_who_was_taken_out_is_let_in_again_by_the_service_alone(ask: Any, admin: Engine) -> None:
    tenant = f"acme-{uuid4()}"
    owner, other = ask(tenant=tenant), ask(tenant=tenant, sub="u8", role="viewer")
    assert other.get("/accounts") == []
    (gone,) = [each for each in owner.get("/members") if each["role"] == "viewer"]
    owner.good("DELETE", f"/members/{gone['user_id']}")
    assert other.get("/accounts") == []
    assert {each["role"] for each in owner.get("/members")} == {"owner", "viewer"}


# --- names ---


def claims(**given: Any) -> Claims:
    said = {"issuer": "https://id.example", "subject": "s", "tenant": None, "role": None}
    return Claims(**(said | given), expires_at=SystemClock().now())


def test_no_two_of_a_service_have_one_name_here() -> None:
    long = "x" * 250
    given = [{"tenant": "s"}, {"tenant": None}, {"tenant": long}, {"tenant": long + "y"},
             {"subject": "own s"}, {"subject": long}]  # fmt: skip
    names = [tenant_key(claims(**each)) for each in given]
    names += [user_key(claims(**each)) for each in ({}, {"subject": long})]
    digest = next(name for name in names if "digest" in name).rpartition(" ")[2]
    names.append(tenant_key(claims(tenant=digest)))
    names.append(tenant_key(claims(tenant=f"digest {digest}")))
    assert len(set(names)) == len(names)
    assert all(len(name) <= 200 and name.startswith("https://id.example ") for name in names)
    assert tenant_key(claims(tenant="s")) != tenant_key(claims(tenant="s", issuer="https://x.y"))


def test_roles_by_claim() -> None:
    assert role_of(claims()) is Role.OWNER
    assert role_of(claims(role="viewer")) is Role.OWNER
    assert role_of(claims(tenant="t")) is Role.VIEWER
    for role in BY_ROLE:
        assert role_of(claims(tenant="t", role=role.value)) is role
    with pytest.raises(TokenInvalid):
        role_of(claims(tenant="t", role="Owner"))
