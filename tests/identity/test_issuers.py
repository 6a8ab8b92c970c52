"""Signing in with an issuer of OpenID Connect: an honest one, and every dishonesty we know of."""

import asyncio
import gzip
import hashlib
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import OctKey, RSAKey
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from finora_adapters.auth.issuers import OidcIssuers
from finora_adapters.auth.remote import Remote
from finora_adapters.auth.urls import is_safe
from finora_adapters.settings import OidcClient
from finora_core.identity.verifiers import (
    Identified,
    IssuerNotFound,
    IssuerRefused,
    IssuerUnavailable,
)
from finora_core.kernel.errors import Refusal
from identity.issuer import ABSENT, FOREIGN, KEYS, NOW, SECRET, At, Issuer, b64, signed, told, unb64

AT = int(NOW.timestamp())
BACK = "https://finora.example/login/back"
VERIFIER, STATE, NONCE = "v" * 43, "state-1", "nonce-1"
SMALL = Remote(most_bytes=100_000)


@attrs.define
class Flow:
    """A person who signs in with the issuer `stub`."""

    issuer: Issuer
    clock: At
    issuers: OidcIssuers

    def sign_in(self, **changed: Any) -> Identified:
        back = self.issuer.authorise(
            self.issuers.start("stub", BACK, state=STATE, nonce=NONCE, verifier=VERIFIER)
        )
        assert back.pop("state") == STATE
        given: dict[str, Any] = {
            "code": back["code"], "redirect_uri": BACK, "verifier": VERIFIER, "nonce": NONCE,
            "iss": None,
        }  # fmt: skip
        return self.issuers.finish("stub", **given | changed)

    def refused(self, kind: type[Refusal] = IssuerRefused, **changed: Any) -> Refusal:
        with pytest.raises(kind) as caught:
            self.sign_in(**changed)
        assert SECRET not in str(caught.value)
        return caught.value


def client_of(issuer: Issuer, name: str = "stub") -> OidcClient:
    secret = issuer.client_secret
    return OidcClient(
        name=name,
        client_id=issuer.client_id,
        client_secret=None if secret is None else SecretStr(secret),
        issuer=issuer.url,
    )


def flow_with(issuer: Issuer, remote: Remote = SMALL) -> Flow:
    clock = At()
    return Flow(issuer, clock, OidcIssuers([client_of(issuer)], clock, remote, clock.seconds))


@pytest.fixture
def issuer(httpserver: HTTPServer) -> Issuer:
    return Issuer(httpserver).start()


@pytest.fixture
def flow(issuer: Issuer) -> Flow:
    return flow_with(issuer)


# --- an honest issuer ----------------------------------------------------------------------------


@pytest.mark.spec("S4-11", partial=True)
@pytest.mark.parametrize("algorithm", KEYS)
def test_a_person_signs_in(flow: Flow, algorithm: str) -> None:
    flow.issuer.algorithm = algorithm
    assert flow.sign_in() == Identified(
        issuer=flow.issuer.url,
        subject="user-1",
        email="ada@example.com",
        email_verified=True,
        name="Ada Lovelace",
    )
    assert flow.issuers.names == ["stub"]


def test_what_the_browser_is_sent_with(flow: Flow) -> None:
    url = flow.issuers.start("stub", BACK, state="s&=", nonce="n n", verifier=VERIFIER)
    assert url.startswith(f"{flow.issuer.url}/authorise?tenant=x&response_type=code&")
    asked = parse_qs(urlsplit(url).query)
    assert asked == {
        "tenant": ["x"], "response_type": ["code"], "client_id": ["finora"],
        "redirect_uri": [BACK], "scope": ["openid email profile"], "state": ["s&="],
        "nonce": ["n n"], "code_challenge_method": ["S256"],
        "code_challenge": [b64(hashlib.sha256(VERIFIER.encode()).digest())],
    }  # fmt: skip
    # The example of RFC 7636.
    example = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    url = flow.issuers.start("stub", BACK, state="s", nonce="n", verifier=example)
    assert "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&" in url
    assert VERIFIER not in url
    assert SECRET not in url


@pytest.mark.parametrize("ways", [None, ["client_secret_basic"], ["client_secret_post"], [], 5])
def test_the_secret_is_told_in_the_way_the_issuer_takes(flow: Flow, ways: Any) -> None:
    if ways is not None:
        flow.issuer.metadata["token_endpoint_auth_methods_supported"] = ways
    assert flow.sign_in().subject == "user-1"
    given = [
        (path, "Authorization" in headers)
        for path, headers in zip(flow.issuer.asked, flow.issuer.headers, strict=True)
    ]
    posted = isinstance(ways, list) and "client_secret_basic" not in ways
    assert [by_header for path, by_header in given if path == "/token"] == [not posted]
    # And to nobody else.
    assert not any(by_header for path, by_header in given if path != "/token")


def test_a_client_without_a_secret_has_its_verifier(httpserver: HTTPServer) -> None:
    flow = flow_with(Issuer(httpserver, client_secret=None).start())
    assert flow.sign_in().subject == "user-1"
    flow.refused(verifier="w" * 43)


@pytest.mark.parametrize(
    ("claims", "email", "verified", "name"),
    [({"email": ABSENT}, None, False, "Ada Lovelace"),
     ({"email_verified": ABSENT}, "ada@example.com", False, "Ada Lovelace"),
     ({"email_verified": "true"}, "ada@example.com", True, "Ada Lovelace"),
     ({"email_verified": "yes"}, "ada@example.com", False, "Ada Lovelace"),
     ({"email_verified": 1}, "ada@example.com", False, "Ada Lovelace"),
     ({"email": ["a@b"], "name": 5}, None, False, None),
     ({"email": ""}, None, False, "Ada Lovelace"),
     ({"name": "A\nB"}, "ada@example.com", True, None),
     ({"name": " "}, "ada@example.com", True, None),
     ({"name": " " + "x" * 900}, "ada@example.com", True, "x" * 200)],
)  # fmt: skip
def test_what_is_not_said_is_not_made_up(
    flow: Flow, claims: dict[str, Any], email: str | None, verified: bool, name: str | None
) -> None:
    flow.issuer.claims = claims
    found = flow.sign_in()
    assert (found.email, found.email_verified, found.name) == (email, verified, name)


def test_metadata_and_keys_are_asked_for_once(flow: Flow) -> None:
    for _ in range(3):
        flow.sign_in()
    assert flow.issuer.asked.count("/.well-known/openid-configuration") == 1
    assert flow.issuer.asked.count("/keys") == 1
    assert flow.issuer.asked.count("/token") == 3


def test_those_who_come_first_together_ask_once(flow: Flow) -> None:
    threads = [threading.Thread(target=flow.sign_in) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert flow.issuer.asked.count("/token") == 8
    assert flow.issuer.asked.count("/keys") == 1


def test_it_works_within_a_loop_of_the_host(flow: Flow) -> None:
    async def host() -> Identified:
        return flow.sign_in()

    assert asyncio.run(host()).subject == "user-1"


def test_an_issuer_that_is_not_known() -> None:
    issuers = OidcIssuers([], At())
    assert issuers.names == []
    with pytest.raises(IssuerNotFound):
        issuers.start("google", BACK, STATE, NONCE, VERIFIER)
    with pytest.raises(IssuerNotFound):
        issuers.finish("google", "code", BACK, VERIFIER, NONCE, None)


# --- tokens that prove nobody --------------------------------------------------------------------

T13 = pytest.mark.invariant("T-13")

CLAIMS: dict[str, dict[str, Any]] = {
    "another nonce": {"nonce": "nonce-2"},
    "no nonce": {"nonce": ABSENT},
    "empty nonce": {"nonce": ""},
    "a nonce that is none": {"nonce": ["nonce-1"]},
    "half a character": {"nonce": "\ud800"},
    "another audience": {"aud": "other"},
    "no audience": {"aud": ABSENT},
    "nobody": {"aud": []},
    "an audience that is none": {"aud": {"finora": 1}},
    "part of a name": {"aud": "finora2"},
    "audience of others": {"aud": ["a", "b"]},
    "several, given to nobody": {"aud": ["finora", "b"]},
    "several, given to another": {"aud": ["finora", "b"], "azp": "b"},
    "given to another": {"azp": "other"},
    "given to null": {"azp": None},
    "another issuer": {"iss": "https://accounts.google.com"},
    "no issuer": {"iss": ABSENT},
    "expired": {"exp": AT - 61},
    "no end": {"exp": ABSENT},
    "an end that is none": {"exp": "soon"},
    "an end for ever": {"exp": 1e300},
    "an end that is true": {"exp": True},
    "null end": {"exp": None},
    "not yet": {"nbf": AT + 61},
    "from when?": {"nbf": "x"},
    "made later": {"iat": AT + 61},
    "made long ago": {"iat": AT - 601},
    "made when?": {"iat": ABSENT},
    "nobody's": {"sub": ABSENT},
    "an empty subject": {"sub": ""},
    "a number": {"sub": 5},
    "a long subject": {"sub": "x" * 256},
}


@T13
@pytest.mark.parametrize("claims", CLAIMS.values(), ids=CLAIMS.keys())
def test_claims_that_do_not_fit(flow: Flow, claims: dict[str, Any]) -> None:
    flow.issuer.claims = claims
    flow.refused()


@T13
def test_claims_at_the_edge_of_their_time(flow: Flow) -> None:
    for claims in ({"exp": AT - 59}, {"iat": AT + 60}, {"iat": AT - 600}, {"nbf": AT + 60},
                   {"aud": ["finora", "b"], "azp": "finora"}, {"aud": ["finora"]},
                   {"exp": AT + 0.5}):  # fmt: skip
        flow.issuer.claims = claims
        assert flow.sign_in().subject == "user-1"


def unsigned(text: str) -> str:
    return f"{NONE}.{text.split('.')[1]}."


def by_hmac(key: bytes) -> Callable[[str], str]:
    def forge(text: str) -> str:
        claims = json.loads(unb64(text.split(".")[1]))
        return signed({"alg": "HS256", "kid": "rs"}, claims, OctKey.import_key(key))

    return forge


NONE = b64(b'{"alg":"none"}')
PUBLIC = KEYS["RS256"].as_dict(private=False)
FORGED: dict[str, Callable[[str], str]] = {
    "no signature": unsigned,
    "no signature, none": lambda text: unsigned(text) + "AA",
    "signature cut": lambda text: text[:-9],
    "signature left out": lambda text: text.rpartition(".")[0] + ".",
    "HS256 with the modulus": by_hmac(PUBLIC["n"].encode()),
    "HS256 with the key's DER": by_hmac(KEYS["RS256"].as_der(private=False)[9:]),
    "HS256 with our secret": by_hmac(SECRET.encode() * 2),
    "padding": lambda text: text + "=",
    "a line break": lambda text: text + "\n",
    "four parts": lambda text: text + ".AA",
    "huge": lambda text: text + "A" * 50_000,
    "empty": lambda text: "",
    "another text": lambda text: "fin_" + "A" * 80,
}


@T13
@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_texts_that_the_issuer_did_not_sign(flow: Flow, forge: Callable[[str], str]) -> None:
    flow.issuer.token = forge
    flow.refused()


@T13
@pytest.mark.parametrize(
    "header",
    [{"alg": "none"}, {"alg": "HS256"}, {"alg": "RS512"}, {"alg": ["RS256"]}, {"alg": ABSENT},
     {"alg": "PS256"}, {"alg": "ES256"}, {"kid": "other"}, {"kid": 5}, {"kid": ABSENT},
     {"kid": None}, {"kid": "../../keys"}, {"crit": ["exp"]}, {"b64": False}, {"typ": "at+jwt"},
     {"typ": "logout+jwt"}, {"typ": None}],
    ids=str,
)  # fmt: skip
def test_headers_that_are_not_taken(flow: Flow, header: dict[str, Any]) -> None:
    def forge(text: str) -> str:
        said = {"alg": "RS256", "kid": "rs"} | header
        said = {name: value for name, value in said.items() if value is not ABSENT}
        return signed(said, json.loads(unb64(text.split(".")[1])), KEYS["RS256"], by="RS256")

    flow.issuer.token = forge
    flow.refused()


@T13
@pytest.mark.parametrize(
    "header",
    [{}, {"jwk": FOREIGN.as_dict(private=False)}, {"jku": "https://evil.example/keys"},
     {"x5u": "https://evil.example/x.pem"}, {"kid": ABSENT}, {"kid": "es"}],
    ids=lambda each: " ".join(each) or "its name only",
)  # fmt: skip
def test_keys_of_another_issuer(flow: Flow, header: dict[str, Any]) -> None:
    flow.issuer.key, flow.issuer.header = FOREIGN, header
    flow.refused()
    assert "evil.example" not in str(flow.issuer.asked)


def test_a_token_without_a_key_s_name_where_there_is_one_key(flow: Flow) -> None:
    flow.issuer.keys = {"ES256": KEYS["ES256"], "RS256": KEYS["RS256"]}
    flow.issuer.header = {"kid": ABSENT, "typ": ABSENT}
    assert flow.sign_in().subject == "user-1"


# --- answers to the code -------------------------------------------------------------------------


@T13
def test_a_code_is_used_once(flow: Flow) -> None:
    url = flow.issuers.start("stub", BACK, STATE, NONCE, VERIFIER)
    code = flow.issuer.authorise(url)["code"]
    assert flow.issuers.finish("stub", code, BACK, VERIFIER, NONCE, None).subject == "user-1"
    with pytest.raises(IssuerRefused, match="does not take this code"):
        flow.issuers.finish("stub", code, BACK, VERIFIER, NONCE, None)


@T13
@pytest.mark.parametrize(
    "changed",
    [{"code": "guessed"}, {"code": ""}, {"code": "x" * 5000}, {"verifier": "w" * 43},
     {"redirect_uri": BACK + "/"}, {"nonce": "nonce-2"}, {"nonce": ""}],
    ids=lambda each: str(each)[:40],
)  # fmt: skip
def test_what_comes_back_must_fit_what_was_begun(flow: Flow, changed: dict[str, Any]) -> None:
    flow.refused(**changed)


@T13
def test_a_code_of_another_issuer_is_sent_nowhere(flow: Flow) -> None:
    for other in ("https://evil.example", "", flow.issuer.url + "/"):
        flow.refused(iss=other)
    assert "/token" not in flow.issuer.asked
    assert flow.sign_in(iss=flow.issuer.url).subject == "user-1"


@T13
def test_an_issuer_that_says_who_it_is_must(httpserver: HTTPServer) -> None:
    issuer = Issuer(httpserver).start()
    issuer.metadata["authorization_response_iss_parameter_supported"] = True
    flow = flow_with(issuer)
    flow.refused()
    assert "/token" not in issuer.asked
    assert flow.sign_in(iss=issuer.url).subject == "user-1"


@T13
def test_the_mix_up_attack(httpserver: HTTPServer) -> None:
    """A dishonest issuer has its victim sent to an honest one, and waits for the code."""
    honest = Issuer(httpserver).start()
    with HTTPServer() as elsewhere:
        evil = Issuer(elsewhere, client_secret="known to evil").start()
        evil.metadata["authorization_endpoint"] = f"{honest.url}/authorise"
        clients = [client_of(honest, "honest"), client_of(evil, "evil")]
        issuers = OidcIssuers(clients, At(), SMALL)
        back = honest.authorise(issuers.start("evil", BACK, STATE, NONCE, VERIFIER))
        with pytest.raises(IssuerRefused, match="another issuer"):
            issuers.finish("evil", back["code"], BACK, VERIFIER, NONCE, iss=honest.url)
        assert "/token" not in evil.asked
        assert back["code"] in honest.codes


ANSWERS: dict[str, tuple[Callable[[], Response], type[Refusal]]] = {
    "an error": (lambda: told({"error": "invalid_grant"}, 400), IssuerRefused),
    "an error that is none": (lambda: told({"error": 5}, 400), IssuerUnavailable),
    "an error and a token": (lambda: told({"error": "x", "id_token": "y"}, 400), IssuerRefused),
    "no token": (lambda: told({"access_token": "x"}), IssuerUnavailable),
    "a token that is none": (lambda: told({"id_token": ["x"]}), IssuerUnavailable),
    "a list": (lambda: told([]), IssuerUnavailable),
    "no JSON": (lambda: Response("<html>"), IssuerUnavailable),
    "a key twice": (lambda: Response('{"id_token":"a","id_token":"b"}'), IssuerUnavailable),
    "nothing": (lambda: Response(""), IssuerUnavailable),
    "a fault": (lambda: told({"error": "server_error"}, 500), IssuerUnavailable),
    "busy": (lambda: told({}, 503), IssuerUnavailable),
    "huge": (lambda: Response(b"{" + b" " * 200_000 + b"}"), IssuerUnavailable),
    "endless": (lambda: Response(b" " * 9999 for _ in iter(int, 1)), IssuerUnavailable),
    "deep": (lambda: Response("[" * 50_000), IssuerUnavailable),
    "packed": (
        lambda: Response(gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"}),
        IssuerUnavailable,
    ),
    "a redirect": (
        lambda: Response('{"id_token":"x"}', 302, headers={"Location": "/elsewhere"}),
        IssuerUnavailable,
    ),
    "a redirect that keeps the form": (
        lambda: Response("{}", 307, headers={"Location": "/elsewhere"}),
        IssuerUnavailable,
    ),
}


@T13
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("path", ["/token", "/keys", "/.well-known/openid-configuration"])
def test_answers_that_are_none(
    httpserver: HTTPServer, path: str, answer: tuple[Callable[[], Response], type[Refusal]]
) -> None:
    issuer = Issuer(httpserver).start()
    issuer.answer("/elsewhere", lambda request: told({"keys": [], "id_token": "x"}))
    issuer.answer(path, lambda request: answer[0]())
    flow = flow_with(issuer)
    if path == "/.well-known/openid-configuration":
        for ask in (
            lambda: flow.issuers.start("stub", BACK, STATE, NONCE, VERIFIER),
            lambda: flow.issuers.finish("stub", "code", BACK, VERIFIER, NONCE, None),
        ):
            with pytest.raises(IssuerUnavailable):
                ask()
    else:
        flow.refused(answer[1] if path == "/token" else IssuerUnavailable)
    assert "/elsewhere" not in issuer.asked


@T13
@pytest.mark.parametrize(
    ("body", "headers", "why"),
    [(" " * 100_001 + "{}", {}, "more than is read"),
     ("{}", {"Content-Encoding": "gzip"}, "not asked for")],
    ids=["huge", "said to be packed"],
)  # fmt: skip
def test_an_answer_is_refused_before_it_is_read(
    httpserver: HTTPServer, body: str, headers: dict[str, str], why: str
) -> None:
    issuer = Issuer(httpserver).start()
    issuer.answer("/token", lambda request: Response(body, headers=headers))
    assert why in str(flow_with(issuer).refused(IssuerUnavailable))


@pytest.mark.parametrize(
    ("url", "safe", "safe_here"),
    [("https://id.example", True, True), ("https://id.example:8443/a?b=c", True, True),
     ("https://127.0.0.1", True, True), ("http://127.0.0.1:9", False, True),
     ("http://127.9.9.9", False, True), ("http://[::1]:9/a", False, True),
     ("http://localhost", False, True), ("http://localhost.evil.example", False, False),
     ("http://id.example", False, False), ("http://0.0.0.0", False, False),
     ("http://10.0.0.1", False, False), ("https://u@id.example", False, False),
     ("https://u:p@id.example", False, False), ("http://u@127.0.0.1", False, False),
     ("https://id.example#", False, False), ("https://id.example/#a", False, False),
     ("https://", False, False), ("https:id.example", False, False), ("", False, False),
     ("//id.example", False, False), ("HTTPS://id.example", True, True), (None, False, False),
     ("https://id.example:0", False, False), ("https://id.example:x", False, False),
     ("https://[", False, False), ("https://id.example\n", False, False),
     (b"https://a", False, False)],
    ids=str,
)  # fmt: skip
def test_urls_that_may_be_asked(url: object, safe: bool, safe_here: bool) -> None:
    assert is_safe(url, loopback=False) is safe
    assert is_safe(url, loopback=True) is safe_here


def slowly(request: Request) -> Response:
    def drops() -> Iterator[bytes]:
        for _ in range(200):
            time.sleep(0.02)
            yield b" "

    return Response(drops())


@T13
@pytest.mark.parametrize("path", ["/token", "/keys", "/.well-known/openid-configuration"])
def test_a_body_that_comes_drop_by_drop(httpserver: HTTPServer, path: str) -> None:
    issuer = Issuer(httpserver).start()
    issuer.answer(path, slowly)
    flow = flow_with(issuer, Remote(limit_s=0.3))
    with pytest.raises(IssuerUnavailable, match="in time"):
        flow.sign_in()


@T13
def test_headers_that_come_drop_by_drop() -> None:
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            client, _ = listening.accept()
            with client:
                client.sendall(b"HTTP/1.1 200 OK\r\n")
                while not over.wait(0.02):
                    try:
                        client.sendall(b"X-More: of it\r\n")
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        client = OidcClient(name="stub", client_id="finora", issuer=url)
        issuers = OidcIssuers([client], At(), Remote(limit_s=0.3))
        try:
            with pytest.raises(IssuerUnavailable, match="in time"):
                issuers.start("stub", BACK, STATE, NONCE, VERIFIER)
        finally:
            over.set()
            thread.join()


def test_an_issuer_that_is_not_there_is_not_asked_by_everybody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    client = OidcClient(name="stub", client_id="finora", issuer=f"http://127.0.0.1:{port}")
    clock = At()
    issuers = OidcIssuers([client], clock, SMALL, clock.seconds)
    with pytest.raises(IssuerUnavailable, match="does not answer"):
        issuers.start("stub", BACK, STATE, NONCE, VERIFIER)
    with pytest.raises(IssuerUnavailable, match="a moment ago"):
        issuers.start("stub", BACK, STATE, NONCE, VERIFIER)
    clock.passed_s += 6
    with pytest.raises(IssuerUnavailable, match="does not answer"):
        issuers.start("stub", BACK, STATE, NONCE, VERIFIER)


# --- metadata and keys ---------------------------------------------------------------------------


@T13
@pytest.mark.parametrize(
    "metadata",
    [{"issuer": "https://accounts.google.com"}, {"issuer": None}, {"jwks_uri": None},
     {"jwks_uri": "keys"}, {"jwks_uri": "file:///etc/passwd"}, {"jwks_uri": 5},
     {"jwks_uri": "http://evil.example/keys"}, {"token_endpoint": "http://evil.example/token"},
     {"token_endpoint": "ftp://127.0.0.1/"}, {"token_endpoint": "http://127.0.0.1@evil.example/"},
     {"token_endpoint": "https://user:pass@evil.example/"}, {"token_endpoint": "http://[::1"},
     {"token_endpoint": "https:///x"}, {"token_endpoint": "https://a\nb/"},
     {"token_endpoint": "https://a b/"}, {"token_endpoint": "https://а.example/"},
     {"token_endpoint": "http://127.0.0.1:99999/"}, {"token_endpoint": "https://a/#x"},
     {"authorization_endpoint": "javascript:alert(1)"},
     {"authorization_endpoint": "http://evil.example/"}, {"authorization_endpoint": ABSENT}],
    ids=str,
)  # fmt: skip
def test_metadata_that_lead_astray(httpserver: HTTPServer, metadata: dict[str, Any]) -> None:
    issuer = Issuer(httpserver).start()
    issuer.metadata = {k: None if v is ABSENT else v for k, v in metadata.items()}
    flow = flow_with(issuer)
    flow.refused(IssuerUnavailable)
    assert "evil" not in str(issuer.asked)


@T13
def test_a_key_that_is_not_known_is_asked_for_once_a_minute(flow: Flow) -> None:
    flow.sign_in()
    new = RSAKey.generate_key(2048, {"kid": "new"})
    flow.issuer.key = new
    flow.clock.passed_s = 30
    for _ in range(5):
        flow.refused()
    assert flow.issuer.asked.count("/keys") == 1
    flow.clock.passed_s = 61
    for _ in range(5):
        flow.refused()
    assert flow.issuer.asked.count("/keys") == 2
    flow.issuer.keys["new"] = new
    flow.clock.passed_s = 122
    assert flow.sign_in().subject == "user-1"
    assert flow.issuer.asked.count("/keys") == 3


@T13
def test_a_key_that_was_withdrawn_is_forgotten(flow: Flow) -> None:
    flow.sign_in()
    flow.issuer.keys.pop("RS256")
    flow.clock.passed_s = 599
    assert flow.sign_in().subject == "user-1"
    flow.clock.passed_s = 601
    flow.refused()


def test_keys_are_used_on_while_their_issuer_is_away_but_not_for_ever(flow: Flow) -> None:
    flow.sign_in()
    flow.issuer.answer("/keys", lambda request: told({}, 503))
    flow.issuer.answer("/.well-known/openid-configuration", lambda request: told({}, 503))
    flow.clock.passed_s = 601
    assert flow.sign_in().subject == "user-1"
    # Asked for again once a minute, not with each.
    asked = flow.issuer.asked.count("/keys")
    flow.clock.passed_s = 630
    assert flow.sign_in().subject == "user-1"
    assert flow.issuer.asked.count("/keys") == asked
    flow.clock.passed_s = 86_500
    flow.refused(IssuerUnavailable)


# --- transport -----------------------------------------------------------------------------------


@attrs.frozen
class Authority:
    """Signs certificates for servers of this machine."""

    folder: Path

    def contexts(self, names: list[x509.GeneralName]) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        """The server's, and that of who trusts it."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = made.public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        file = self.folder / "server.pem"
        file.write_bytes(pem + private)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(file)
        return server, ssl.create_default_context(cadata=pem.decode())


@T13
def test_https_and_nothing_less(httpserver: HTTPServer, tmp_path: Path) -> None:
    here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    server, trusting = Authority(tmp_path).contexts([here])
    plain = Issuer(httpserver).start()
    with HTTPServer(ssl_context=server) as secure:
        issuer = Issuer(secure, scheme="https").start()
        flow = flow_with(issuer, attrs.evolve(SMALL, context=trusting))
        assert flow.sign_in().issuer.startswith("https://")
        # Somebody whom nobody trusts.
        flow_with(issuer).refused(IssuerUnavailable)
        # Down to http, be it on this machine.
        for name in ("token_endpoint", "jwks_uri", "authorization_endpoint"):
            issuer.metadata = {name: f"{plain.url}/{name}"}
            flow_with(issuer, attrs.evolve(SMALL, context=trusting)).refused(IssuerUnavailable)
        assert plain.asked == []
    other, trusting = Authority(tmp_path).contexts([x509.DNSName("finora.example")])
    with HTTPServer(ssl_context=other) as elsewhere:
        issuer = Issuer(elsewhere, scheme="https").start()
        flow_with(issuer, attrs.evolve(SMALL, context=trusting)).refused(IssuerUnavailable)
        assert issuer.asked == []


def test_the_environment_changes_nothing(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert flow.sign_in().subject == "user-1"
