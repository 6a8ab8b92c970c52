"""Thousands of bad inputs, with two ways to pass. What is wrong is refused: with a status that the
document says, in the envelope, echoing nothing as it was but as JSON, writing nothing, and the next
good request is fine. What is only nasty is kept, and comes back as it was."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from finora import Settings
from serving import Served
from web.api import Api, euros
from web.callers import PASSWORD, People
from web.catalogue import World, Written
from web.corpus import days, documents, ids, injections, numbers, texts, tokens, wire

DAY = "2026-01-31"
_CONTROL = re.compile(rb"[\x00-\x1f]")


@pytest.fixture(scope="module")
def document(app: Flask) -> Any:
    return app.test_client().get("/openapi.json").json


@pytest.fixture
def refuse(written: Written, document: Any) -> Callable[..., None]:
    """Whether each is refused as it must be; `known` are those that are read all the same."""
    said = {
        each["operationId"]: {int(status) for status in each["responses"]}
        for methods in document["paths"].values()
        for each in methods.values()
    }

    def check(
        operation: str, asked: Iterable[tuple[Any, Callable[[], TestResponse]]], *statuses: int
    ) -> None:
        seen = written.seen()
        allowed = said[operation] & set(statuses or (400,))
        assert allowed
        for about, ask in asked:
            answer = ask()
            told = (about, answer.status_code, answer.data[:300])
            assert answer.status_code in allowed, told
            assert answer.mimetype == "application/json", told
            assert answer.headers["X-Content-Type-Options"] == "nosniff", told
            assert not _CONTROL.search(answer.data), told
            assert json.loads(answer.data)["error"]["code"], told
            assert not seen.changed(), told

    return check


def record(account_id: str, **more: Any) -> dict[str, Any]:
    said = {"account_id": account_id, "on_date": DAY, "amount": euros("-1.00"),
            "description": "x"}  # fmt: skip
    return said | more


def posts(api: Api, path: str, bodies: Iterable[Any]) -> Iterator[tuple[Any, Callable[[], Any]]]:
    """A request for each; bytes are sent as they are."""
    for body in bodies:
        if isinstance(body, bytes):
            yield body[:200], lambda raw=body: api.ask("POST", path, raw=raw)
        else:
            yield body, lambda said=body: api.ask("POST", path, said)


def test_the_corpus_is_large(world: World, people: People) -> None:
    """Distinct inputs, each of which is tried below."""
    forged = len(set(forger(people, world).tokens())) + len(set(tokens.bent(world.token["text"])))
    counts = {
        "numbers": len(set(numbers.TEXTS)) + len(set(numbers.RAW)),
        "days and instants": len(set(days.DAYS)) + len(set(days.INSTANTS)),
        "ids": len(set(ids.IDS)),
        "documents": len(set(documents.bodies("x" * 36))),
        "texts": len(set(texts.TEXTS)),
        "no texts": len({*texts.NO_NAMES, *texts.HALVES, *texts.NO_UTF8}),
        "injections": len(set(injections.TEXTS) - set(texts.TEXTS)),
        "tokens": forged + len(set(tokens.HEADERS)),
        "requests on the wire": len(set(wire.RAW)),
    }
    total = sum(counts.values())
    print(
        f"{total} distinct inputs:", ", ".join(f"{count} {name}" for name, count in counts.items())
    )
    assert total >= 2_000
    assert min(counts.values()) > 100


@pytest.mark.spec("S2-7", partial=True)
@pytest.mark.invariant("I-55")
@pytest.mark.invariant("I-11")
def test_no_number_that_is_none_is_taken(world: World, refuse: Callable[..., None]) -> None:
    account = world.account_id

    def written_as(amount: str) -> dict[str, Any]:
        return record(account, amount={"amount": amount, "asset": "EUR"})

    refuse("create_record", posts(world.api, "/records", map(written_as, numbers.TEXTS)))
    good = json.dumps(written_as("@")).encode()
    raw = (good.replace(b'"@"', each) for each in numbers.RAW)
    refuse("create_record", posts(world.api, "/records", raw))
    # A floor is of whole units, a chain and a limit are numbers of JSON and of a query.
    floors = ({"name": "x", "asset": "EUR", "floor": each} for each in numbers.TEXTS)
    refuse("open_account", posts(world.api, "/accounts", floors))
    queries = ((each, lambda limit=each: world.api.ask("GET", "/records", query={"limit": limit}))
               for each in numbers.TEXTS if len(each) < 1_000)  # fmt: skip
    refuse("list_records", queries)
    assert world.api.ask("POST", "/records", written_as("-1.00")).status_code == 201


@pytest.mark.spec("S2-7", partial=True)
@pytest.mark.invariant("I-55")
def test_no_day_and_no_instant_that_is_none_is_taken(
    world: World, refuse: Callable[..., None]
) -> None:
    account = world.account_id
    bodies = (record(account, on_date=each) for each in days.DAYS)
    refuse("create_record", posts(world.api, "/records", bodies))
    tokens_ = ({"name": "x", "expires_at": each} for each in days.INSTANTS)
    refuse("create_token", posts(world.api, "/tokens", tokens_))
    where = "/trial-balance"
    queries = ((each, lambda at=each: world.api.ask("GET", where, query={"known_at": at}))
               for each in days.INSTANTS)  # fmt: skip
    refuse("trial_balance", queries)
    assert world.api.ask("POST", "/records", record(account)).status_code == 201


@pytest.mark.spec("S2-7", partial=True)
@pytest.mark.invariant("I-55")
def test_no_id_that_is_none_is_taken(world: World, refuse: Callable[..., None]) -> None:
    api, account = world.api, world.account_id
    refuse("create_record", posts(api, "/records", (record(each) for each in ids.IDS)))
    paths = ((each, lambda id_=each: api.ask("GET", f"/records/{quote(id_, safe='')}"))
             for each in ids.IDS if each)  # fmt: skip
    refuse("get_record", paths, 404)
    queries = ((each, lambda id_=each: api.ask("GET", "/records", query={"account_id": id_}))
               for each in ids.IDS)  # fmt: skip
    refuse("list_records", queries)
    headers = ((each, lambda id_=each: api.ask("GET", "/me", headers={"X-Tenant-Id": id_}))
               for each in ids.IDS if each.isascii() and each.isprintable())  # fmt: skip
    refuse("get_me", headers, 403)
    assert api.ask("POST", "/records", record(account)).status_code == 201


@pytest.mark.spec("S2-7", partial=True)
@pytest.mark.invariant("I-55")
def test_no_document_that_is_none_is_taken(world: World, refuse: Callable[..., None]) -> None:
    account = world.account_id
    bodies = documents.bodies(account)
    refuse("create_record", posts(world.api, "/records", bodies))
    # Where nobody is known yet, and the reader is the same.
    refuse("login", posts(world.public, "/auth/login", bodies[::7]))
    good = (documents.GOOD % account).encode()
    assert world.api.ask("POST", "/records", raw=good).status_code == 201


@pytest.mark.spec("S2-7", partial=True)
@pytest.mark.invariant("I-55")
def test_what_is_no_text_is_refused(world: World, refuse: Callable[..., None]) -> None:
    api = world.api
    names = ({"name": each} for each in texts.NO_NAMES)
    refuse("open_account", posts(api, "/accounts", names))
    raw = [b'{"name": %b}' % each for each in texts.HALVES]
    raw += [b'{"name": "a%bb"}' % each for each in texts.NO_UTF8]
    refuse("open_account", posts(api, "/accounts", raw))
    for path in ("/records?text=", "/files?limit=1&cursor="):
        queries = [(each, lambda said=each, where=path: api.ask("GET", where + quote(said)))
                   for each in texts.NO_UTF8]  # fmt: skip
        refuse("list_records" if "records" in path else "list_files", queries)
    assert api.ask("POST", "/accounts", {"name": "a good one"}).status_code == 201


@pytest.mark.spec("S2-7", partial=True)
@pytest.mark.invariant("T-19")
def test_what_is_only_nasty_comes_back_as_it_was(world: World) -> None:
    """As a description and as a counterparty; and what looks for it finds it or nothing."""
    api, account = world.api, world.account_id
    nasty = list(dict.fromkeys((*texts.TEXTS, *injections.TEXTS)))
    sent = {}
    for one, two in zip(nasty[::2], [*nasty[1::2], "the last"], strict=False):
        made = api.ask("POST", "/records", record(account, description=one, counterparty=two))
        assert made.status_code == 201, (one, two, made.text)
        # A description has no blanks at its ends, whoever wrote it.
        sent[made.json["data"]["id"]] = (one.strip(), two)
    assert len(sent) > 400
    found = {
        each["id"]: (each["description"], each["counterparty"])
        for page in api.pages("/records", limit=200)
        for each in page
    }
    assert {name: found[name] for name in sent} == sent
    for each in filter(str.isprintable, injections.TEXTS[::4]):
        answer = api.ask("GET", "/records", query={"text": each, "limit": 3})
        assert answer.status_code == 200, each


@pytest.mark.spec("S2-7", partial=True)
@pytest.mark.invariant("T-19")
def test_a_name_that_is_only_nasty_comes_back_as_it_was(world: World, people: People) -> None:
    """Of an account, of a tenant and of a person: on a line of its own, of at most 200 signs."""
    api = world.api
    nasty = [each for each in (*texts.TEXTS, *injections.TEXTS)
             if 1 <= len(each) <= 200 and each.isprintable() and each == each.strip()]  # fmt: skip
    assert len(nasty) > 400
    names = set(nasty[::5])
    for each in names:
        answer = api.ask("POST", "/accounts", {"name": each})
        assert answer.status_code == 201, (each, answer.text)
    assert names <= {each["name"] for each in api.get("/accounts")}
    for each in nasty[::40]:
        assert api.ask("PATCH", "/me", {"name": each}).json["data"]["name"] == each
        assert api.get("/me")["name"] == each
        assert api.ask("PATCH", "/tenant", {"name": each}).json["data"]["name"] == each


def forger(people: People, world: World) -> tokens.Forger:
    signed = people.services.sessions.door.tokens
    key = signed._keys.current()  # type: ignore[attr-defined]  # the adapter behind the port
    kinds = ("refresh", "browser", "device", "link", "invite", "code", "passkey", "wallet")
    return tokens.Forger(
        good=world.me.signed_in.access,
        key=key.derive("finora-access+jwt"),
        others={kind: key.derive(f"finora-{kind}+jwt") for kind in kinds},
    )


@pytest.mark.spec("S2-2", partial=True)
@pytest.mark.invariant("T-11")
@pytest.mark.invariant("I-55")
def test_nothing_that_is_forged_proves_anybody(
    world: World, people: People, refuse: Callable[..., None], app: Flask
) -> None:
    """As an access token of a session, a program's token, and the whole header."""

    def as_token(token: str) -> TestResponse:
        # A header is Latin-1 on the wire, whatever was meant by it.
        said = token.encode().decode("latin-1").replace("\n", "").replace("\r", "")
        return Api(app, said).ask("GET", "/me")

    forge = forger(people, world)
    assert as_token(forge.sign(forge.header, forge.claims)).status_code == 200
    forged = [*forge.tokens(), *tokens.bent(world.token["text"])]
    assert len(set(forged)) > 400
    refuse("get_me", ((each[:200], lambda said=each: as_token(said)) for each in forged), 401)
    nobody = Api(app, None)
    headers = ((each, lambda said=each: nobody.ask("GET", "/me", headers={"Authorization": said}))
               for each in tokens.HEADERS)  # fmt: skip
    refuse("get_me", headers, 401)
    # As a refresh token, with the key of that kind; and as what a letter's link has.
    kinds = {
        "refresh": ("/auth/refresh", "refresh_token", 401),
        "link": ("/auth/verify", "link", 400),
    }
    for kind, (path, field, status) in kinds.items():
        more = {"password": PASSWORD} if kind == "link" else {}
        some = [each for each in forged if re.fullmatch(r"[!-~]{1,4096}", each)][::6]
        operation = "refresh" if kind == "refresh" else "verify_address"
        refuse(
            operation, posts(world.public, path, ({field: each} | more for each in some)), status
        )
    assert as_token(forge.good).status_code == 200


@pytest.fixture(scope="module")
def served(settings: Settings, finora: object, tmp_path_factory: Any) -> Iterator[Served]:
    served = Served(settings.data, tmp_path_factory.mktemp("served"))
    yield served.ready()
    served.kill()


@pytest.mark.invariant("I-55")
@pytest.mark.invariant("T-20")
@pytest.mark.timeout(240)
def test_no_bytes_on_the_wire_are_taken_for_what_they_are_not(
    served: Served, world: World, written: Written
) -> None:
    """Nothing is a fault, nothing is answered twice, no second request hides in a first; every line
    of the log is one line; and the next good request is fine."""
    token = world.token["text"].encode()
    seen = written.seen()

    def say(raw: bytes) -> tuple[bytes, bytes]:
        return raw, served.say(raw.replace(b"{token}", token))

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(say, wire.RAW))
    made = []
    for raw, said in answers:
        statuses = [int(each) for each in re.findall(rb"(?:^|\n)HTTP/1\.[01] (\d{3})", said)]
        finals = [each for each in statuses if each >= 200]
        assert len(finals) <= 1, (raw[:300], said[:600])
        # 501 is what HTTP has for a coding that nobody knows.
        assert not [each for each in finals if each >= 500 and each != 501], (raw[:300], said[:600])
        if 201 in finals:
            made.append(raw)
        body = said.partition(b"\r\n\r\n")[2]
        if finals and finals[0] >= 400 and body:
            error = json.loads(body)
            assert error["error"]["code"], (raw[:300], said[:600])
            assert error["request_id"], (raw[:300], said[:600])
    # A length may begin with noughts.
    assert [raw for raw in made if not re.search(rb"Content-Length: +0*19 *\r\n", raw)] == []
    with written.admin.connect() as connection:
        query = text("select count(*) from finora.account where name = 'smuggled'")
        assert connection.scalar(query) == len(made) <= 1
    if not made:
        assert not seen.changed()
    bearer = {"Authorization": f"Bearer {token.decode()}"}
    assert served.ask("GET", "/api/v1/accounts", **bearer)[0] == 200
    assert all("level" in line for line in served.lines())
