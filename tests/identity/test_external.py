"""Tokens of another service: taken by its published keys, and only for us."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import attrs
import pytest
from pytest_httpserver import HTTPServer

from finora_adapters.auth.external import PublishedIssuer
from finora_core.identity.model import TokenInvalid
from finora_core.identity.verifiers import Claims, IssuerUnavailable
from identity.issuer import ABSENT, FOREIGN, KEYS, NOW, At, Issuer, b64, signed, told

AT = int(NOW.timestamp())


@attrs.define
class Service:
    """A service that gives out tokens, and Finora as it takes them."""

    issuer: Issuer
    clock: At = attrs.field(factory=At)
    path: str = "tenant"
    role: str = "role"
    taken: PublishedIssuer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.taken = PublishedIssuer(
            self.issuer.url, "finora-api", self.clock, tenant_claim=self.path,
            role_claim=self.role, seconds=self.clock.seconds,
        )  # fmt: skip

    def token(self, algorithm: str = "RS256", key: Any = None, **changed: Any) -> str:
        header = {"alg": algorithm, "kid": KEYS[algorithm].kid, "typ": "at+jwt"}
        header |= changed.pop("header", {})
        claims = {
            "iss": self.issuer.url, "aud": "finora-api", "sub": "user-7", "iat": AT,
            "exp": AT + 300, "tenant": "acme", "role": "owner",
        }  # fmt: skip
        kept = [
            {name: value for name, value in each.items() if value is not ABSENT}
            for each in (header, claims | changed)
        ]
        return signed(kept[0], kept[1], key or KEYS[algorithm], by=algorithm)


@pytest.fixture
def service(httpserver: HTTPServer) -> Service:
    return Service(Issuer(httpserver).start())


@pytest.mark.spec("S3-7", partial=True)
@pytest.mark.parametrize("algorithm", KEYS)
def test_a_token_of_the_service_is_taken(service: Service, algorithm: str) -> None:
    assert service.taken.verify(service.token(algorithm)) == Claims(
        issuer=service.issuer.url,
        subject="user-7",
        tenant="acme",
        role="owner",
        expires_at=NOW + timedelta(seconds=300),
    )


@pytest.mark.parametrize(
    "header", [{"typ": ABSENT}, {"typ": "JWT"}, {"typ": "application/at+jwt"}, {"x5t": "AAAA"}]
)
def test_headers_that_services_write(service: Service, header: dict[str, Any]) -> None:
    assert service.taken.verify(service.token(header=header)).subject == "user-7"


def test_tenant_and_role_may_be_absent_or_lie_deep(service: Service) -> None:
    found = service.taken.verify(service.token(tenant=ABSENT, role=ABSENT))
    assert (found.tenant, found.role) == (None, None)
    within = Service(service.issuer, path="app.tenant", role="https://acme.example/role")
    text = within.token(app={"tenant": "deep"}, **{"https://acme.example/role": "viewer"})
    found = within.taken.verify(text)
    assert (found.tenant, found.role) == ("deep", "viewer")
    assert within.taken.verify(within.token(app="flat")).tenant is None
    dotted = within.token(**{"app.tenant": "exact"}, app={"tenant": "deep"})
    assert within.taken.verify(dotted).tenant == "exact"


REFUSED: dict[str, dict[str, Any]] = {
    "another audience": {"aud": "other"},
    "no audience": {"aud": ABSENT},
    "an object": {"aud": {"finora-api": 1}},
    "part of it": {"aud": "finora-api-2"},
    "a number": {"aud": 5},
    "others": {"aud": ["a", None]},
    "another issuer": {"iss": "https://evil.example"},
    "no issuer": {"iss": ABSENT},
    "expired": {"exp": AT},
    "no end": {"exp": ABSENT},
    "end as text": {"exp": str(AT + 300)},
    "not yet": {"nbf": AT + 31},
    "made later": {"iat": AT + 31},
    "made when?": {"iat": "x"},
    "nobody's": {"sub": ABSENT},
    "an empty subject": {"sub": ""},
    "a list of subjects": {"sub": ["a"]},
    "a tenant that is none": {"tenant": ["acme"]},
    "a tenant of two lines": {"tenant": "a\nb"},
    "a role that is none": {"role": 1},
    "a foreign key": {"key": FOREIGN},
    "none": {"header": {"alg": "none"}},
    "HS256": {"header": {"alg": "HS256"}},
    "an id token": {"header": {"typ": "id_token+jwt"}},
    "another key's name": {"header": {"kid": "es"}},
    "crit": {"header": {"crit": ["exp"]}},
    "its own key": {"header": {"jwk": FOREIGN.as_dict(private=False)}, "key": FOREIGN},
}


@pytest.mark.spec("S3-7", partial=True)
@pytest.mark.invariant("T-11")
@pytest.mark.parametrize("changed", REFUSED.values(), ids=REFUSED.keys())
def test_a_token_that_is_not_for_us(service: Service, changed: dict[str, Any]) -> None:
    with pytest.raises(TokenInvalid) as caught:
        service.taken.verify(service.token(**changed))
    assert caught.value.message == "this is not a token, or its time has run out"


@pytest.mark.parametrize(
    "change",
    [lambda text: "", lambda text: "fin_abc", lambda text: text + "=", lambda text: text[:-4],
     lambda text: text + "A" * 100_000, lambda text: text.replace(".", "..", 1),
     lambda text: b64(b'{"alg":"none"}') + "." + text.split(".")[1] + "."],
)  # fmt: skip
def test_a_text_that_is_no_token(service: Service, change: Callable[[str], str]) -> None:
    with pytest.raises(TokenInvalid):
        service.taken.verify(change(service.token()))


def test_what_is_no_token_asks_nobody(service: Service) -> None:
    for text in ("", "x", "a.b.c", b64(b"{}") + ".e30.AA", "A" * 1_000_000):
        with pytest.raises(TokenInvalid):
            service.taken.verify(text)
    assert service.issuer.asked == []


def test_a_flood_of_unknown_keys_is_one_question(service: Service) -> None:
    service.taken.verify(service.token())
    service.clock.passed_s = 100

    def flood() -> None:
        for n in range(5):
            with pytest.raises(TokenInvalid):
                service.taken.verify(service.token(header={"kid": f"key-{n}"}))

    threads = [threading.Thread(target=flood) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert service.issuer.asked.count("/keys") == 2


def test_an_issuer_that_is_away(service: Service) -> None:
    service.issuer.answer("/keys", lambda request: told({}, 503))
    with pytest.raises(IssuerUnavailable) as caught:
        service.taken.verify(service.token())
    assert caught.value.code == "ISSUER_UNAVAILABLE"
    # Others do not wait for the same answer.
    with pytest.raises(IssuerUnavailable, match="a moment ago"):
        service.taken.verify(service.token())
    service.issuer.start()
    service.clock.passed_s = 6
    assert service.taken.verify(service.token()).subject == "user-7"
