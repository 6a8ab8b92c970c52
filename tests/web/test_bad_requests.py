"""Whatever does not read as what the route takes is refused, and nothing is written."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from finora import Settings
from finora_adapters.compose import Opened
from finora_web.api.table import ENDPOINTS
from finora_web.main import build
from web.api import ROOT, Api, euros
from web.catalogue import PNG, World, Written

BODIES = [endpoint.name for endpoint in ENDPOINTS if endpoint.body is not None]
QUERIES = [endpoint.name for endpoint in ENDPOINTS if endpoint.query is not None]
GOOD = b'{"name": "ok"}'

NOT_JSON = {
    "empty": b"",
    "blank": b" \n",
    "cut off": b'{"name": "a"',
    "garbage after it": b'{"name": "a"} x',
    "two values": b'{"name": "a"}{"name": "b"}',
    "a comment": b'{"name": "a"} // x',
    "single quotes": b"{'name': 'a'}",
    "a comma too many": b'{"name": "a",}',
    "a byte order mark": b'\xef\xbb\xbf{"name": "a"}',
    "UTF-16": '{"name": "a"}'.encode("utf-16"),
    "Latin-1": b'{"name": "\xe9"}',
    "overlong UTF-8": b'{"name": "\xc0\xae"}',
    "a surrogate in UTF-8": b'{"name": "\xed\xa0\x80"}',
    "a control character": b'{"name": "a\nb"}',
    "a key twice": b'{"name": "a", "name": "b"}',
    "a key twice, escaped": b'{"name": "a", "n\\u0061me": "b"}',
    "a key twice, below": b'{"name": {"a": 1, "a": 1}}',
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": -Infinity}',
    "33 deep": b'{"name": ' + b"[" * 32 + b"]" * 32 + b"}",
    "30,000 deep": b"[" * 30_000,
    "an integer of 5,000 digits": b'{"name": ' + b"9" * 5_000 + b"}",
    "null": b"null",
    "a list": b'[{"name": "a"}]',
    "a text": b'"name"',
    "a number": b"1",
}
NO_AMOUNTS = (
    12, 12.5, True, None, [], {}, "", " ", "12,5", "1_0", " 1", "1 ", "+1", "0x10", "NaN", "sNaN",
    "Infinity", "-Infinity", "1e3", "1e400", "1e1000000", ".5", "5.", "00.1", "01", "--1", "-",
    "\u0661", "\uff11", "1\u00a0000", "1.2.3", "9" * 79, "1." + "0" * 79, "1\n", "1\x00",
)  # fmt: skip
NO_DAYS = (
    1_700_006_400, 1.5, True, "", "1700006400", "2026-02-30", "2026-1-1", "20260101",
    "0000-01-01", "10000-01-01", "2026-01-01T00:00:00", "infinity", "today", "2026-01-01\n",
    "\u0662\u0660\u0662\u0666-01-01", "2026-13-01", "2026-W01-1", "-2026-01-01",
)  # fmt: skip
NO_IDS = (
    "", "1", 1, [], "{01a1fcea-2975-79f6-8951-17db3f6ce9dd}", "01a1fcea297579f6895117db3f6ce9dd",
    "urn:uuid:01a1fcea-2975-79f6-8951-17db3f6ce9dd", "01a1fcea-2975-79f6-8951-17db3f6ce9d",
    "%", "' or 1=1 --", "01a1fcea-2975-79f6-8951-17db3f6ce9dd\x00", "../../etc/passwd",
)  # fmt: skip


@pytest.mark.spec("S2-7", partial=True)
@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_no_json_is_refused(api: Api, nothing_written: None, body: bytes) -> None:
    assert api.refused("POST", "/accounts", raw=body) == (400, "VALIDATION")


def test_it_is_not_the_name_that_was_refused(api: Api) -> None:
    assert api.ask("POST", "/accounts", raw=GOOD).status_code == 201


@pytest.mark.spec("S2-7", partial=True)
@pytest.mark.parametrize(
    ("field", "values"),
    [(("amount", "amount"), NO_AMOUNTS), (("on_date",), NO_DAYS), (("account_id",), NO_IDS)],
    ids=["amount", "day", "id"],
)
def test_a_value_of_another_shape_is_refused_by_its_path(
    api: Api, written: Written, field: tuple[str, ...], values: tuple[Any, ...]
) -> None:
    giro = api.open("Giro")
    before = written.digest()
    for value in values:
        body: dict[str, Any] = {"account_id": giro, "on_date": "2026-01-31",
                                "amount": euros("1.00"), "description": "x"}  # fmt: skip
        place = body
        for name in field[:-1]:
            place = place[name]
        place[field[-1]] = value
        answer = api.ask("POST", "/records", body)
        assert (answer.status_code, answer.json["error"]["code"]) == (400, "VALIDATION"), value
        paths = [each["path"] for each in answer.json["error"]["details"]]
        assert paths == [".".join(field)], value
    assert written.digest() == before


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every place in a body, with what is there."""
    yield path, value
    if isinstance(value, dict):
        for key, each in value.items():
            yield from places(each, (*path, key))
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from places(each, (*path, at))


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    if not path:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(copy[path[0]], path[1:], by)
    return copy


# Objects in which the caller chooses the names, or which are judged by what they prove.
MAPS = {"fields", "names", "response", "widget", "preferences"}
# It may have any character; a wrong one is a wrong guess.
GUESSED = {"password"}


@pytest.mark.invariant("T-02")
@pytest.mark.spec("S2-7", partial=True)
@pytest.mark.parametrize("name", BODIES)
def test_every_place_of_every_body_is_strict(world: World, written: Written, name: str) -> None:
    """No name that is not known, no kind that is not said, no NUL and no half character."""
    asked = world.asked(name)
    before = written.digest()

    def refuse(body: Any, why: str) -> None:
        raw = json.dumps(body).encode()
        answer = asked.by(world.api, raw=raw)
        assert answer.status_code == 400, (why, raw, answer.text)

    for path, there in places(asked.body):
        if MAPS & set(path[:-1]):
            continue
        free = path[-1:] and path[-1] in MAPS
        if isinstance(there, dict) and not free:
            for column in {"tenant_id", "user_id", "state", "id", "__proto__"} - there.keys():
                refuse(replaced(asked.body, path, there | {column: "x"}), "an unknown name")
        if isinstance(there, str) and path[-1] not in GUESSED:
            for text in ("a\x00b", "\x00"):
                refuse(replaced(asked.body, path, text), "no text")
        if isinstance(there, str):
            for text in ("\ud800", "a\udfffb"):
                refuse(replaced(asked.body, path, text), "no text")
        for kind in (5.5, 10**400, [[]], {"a": {}}, "true" if isinstance(there, bool) else True):
            if not (free and isinstance(kind, dict)):
                refuse(replaced(asked.body, path, kind), "another kind")
        if not isinstance(there, int) or isinstance(there, bool):
            refuse(replaced(asked.body, path, 7), "a number")
        if isinstance(there, int):
            refuse(replaced(asked.body, path, str(there)), "a number as text")
    assert written.digest() == before


@pytest.mark.parametrize("name", QUERIES)
def test_every_parameter_of_every_query_is_strict(
    world: World, written: Written, name: str
) -> None:
    asked = world.asked(name)
    endpoint = asked.endpoint
    assert endpoint.query is not None
    before = written.digest()
    for parameter, field in endpoint.query.model_fields.items():
        values = ["a\x00b", "\x00"]
        if field.annotation is int:
            values += ["", "x", "1.0", "1_0", "+1", " 1", "01", "\u0661", "1e1", "-1", "0",
                       "9" * 30, "true"]  # fmt: skip
            if any(getattr(bound, "ge", None) == 0 for bound in field.metadata):
                values.remove("0")
        elif field.annotation is bool:
            values += ["", "1", "0", "yes", "on", "True", "TRUE", "t"]
        for value in values:
            answer = asked.by(world.api, query=asked.query | {parameter: value})
            assert answer.status_code == 400, (parameter, value, answer.text)
    assert written.digest() == before


def test_a_query_in_no_encoding_is_refused_or_taken_as_it_is(api: Api) -> None:
    """Whatever it is, it is no fault of ours; nor with a key, which has the query's bytes in it."""
    for path in (
        "/records?text=%ff",
        "/files?name=%ff",
        "/files?name=%ed%a0%80",
        "/records?text=%",
    ):
        method, raw = ("POST", PNG) if path.startswith("/files") else ("GET", None)
        for key in (None, "k-1"):
            assert api.ask(method, path, raw=raw, key=key).status_code < 500
    environ = {"QUERY_STRING": "name=\xff\xfe"}
    answer = api.ask("POST", "/files", raw=PNG, key="k-2", environ_overrides=environ)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "VALIDATION")


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
     "application/xml", "application/jsonx", "text/json"],
)  # fmt: skip
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_another_media_type_is_refused(
    api: Api, nothing_written: None, kind: str, chunked: bool
) -> None:
    more = without_length(GOOD) if chunked else {"raw": GOOD}
    answer = api.ask("POST", "/accounts", headers={"Content-Type": kind}, **more)
    assert (answer.status_code, answer.json["error"]["code"]) == (415, "MEDIA_TYPE")


def test_a_charset_is_said_and_not_used(api: Api) -> None:
    kind = {"Content-Type": "application/json; charset=utf-8"}
    assert api.ask("POST", "/accounts", raw=GOOD, headers=kind).status_code == 201


def test_a_compressed_body_is_refused(api: Api, nothing_written: None) -> None:
    for path in ("/accounts", "/files?name=a.png"):
        answer = api.ask("POST", path, raw=GOOD, headers={"Content-Encoding": "gzip"})
        assert (answer.status_code, answer.json["error"]["code"]) == (415, "MEDIA_TYPE")


def without_length(content: bytes) -> dict[str, Any]:
    """The body as gunicorn gives a chunked one: without a length, with an end."""
    return streamed(io.BytesIO(content))


def streamed(stream: io.IOBase) -> dict[str, Any]:
    given = {"wsgi.input": stream, "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    return {"environ_overrides": given | {"HTTP_TRANSFER_ENCODING": "chunked"}}


@pytest.mark.spec("S4-1", partial=True)
def test_a_body_over_the_limit_is_refused_with_and_without_its_length(
    api: Api, nothing_written: None
) -> None:
    long = json.dumps({"name": "a", "kind": "asset" + " " * 65_536}).encode()
    kind = {"Content-Type": "application/json"}
    for more in ({"raw": long}, without_length(long)):
        answer = api.ask("POST", "/accounts", headers=kind, **more)
        assert (answer.status_code, answer.json["error"]["code"]) == (413, "BODY_TOO_LARGE")


def test_a_body_at_the_limit_is_read(api: Api) -> None:
    body = GOOD + b" " * (65_536 - len(GOOD))
    assert api.ask("POST", "/accounts", raw=body).status_code == 201


@pytest.fixture(scope="module")
def small(settings: Settings, opened: Opened) -> Flask:
    """The application with limits of a megabyte."""
    return build(settings.model_copy(update={"file_max_mb": 1, "import_max_mb": 1}), opened)


@pytest.mark.spec("S4-65", partial=True)
def test_a_file_over_its_limit_is_refused_however_it_is_sent(
    api: Api, small: Flask, nothing_written: None
) -> None:
    """A stream is not read to its end to find that out."""
    caller = Api(small, api.token)
    for path in ("/files?name=a.png", "/imports?name=a.csv"):
        long = PNG + bytes(3 << 20)
        kind = {"Content-Type": "application/octet-stream"}
        answer = caller.ask("POST", path, raw=long, headers=kind)
        assert answer.status_code == 413, path
        endless = Endless()
        answer = caller.ask("POST", path, headers=kind, **streamed(endless))
        assert answer.status_code == 413, path
        assert endless.given < 4 << 20
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        form = {"Content-Type": "multipart/form-data; boundary=b"}
        sent = head + long + b"\r\n--b--\r\n"
        assert caller.ask("POST", path, raw=sent, headers=form).status_code == 413, path
        more = without_length(sent)
        assert caller.ask("POST", path, headers=form, **more).status_code == 413, path


class Endless(io.RawIOBase):
    def __init__(self) -> None:
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        assert self.given < 64 << 20, "it is read without an end"
        buffer[:] = bytes(len(buffer))
        self.given += len(buffer)
        return len(buffer)


def test_a_form_that_is_none_is_refused(api: Api, nothing_written: None) -> None:
    form = "multipart/form-data"
    for kind, body in (
        (form, b"x"),
        (f"{form}; boundary=", b"x"),
        (f"{form}; boundary=b", b""),
        (f"{form}; boundary=b", b"--b\r\n\r\nx\r\n--b--"),
        (f"{form}; boundary=b", b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx'),
        (f"{form}; boundary=b",
         b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n'),
    ):  # fmt: skip
        headers = {"Content-Type": kind}
        answer = api.ask("POST", "/files", raw=body, headers=headers, query={"name": "a.png"})
        assert answer.status_code == 400, body


@pytest.mark.parametrize("form", [False, True], ids=["body", "form"])
def test_an_upload_without_a_byte_is_refused(api: Api, nothing_written: None, form: bool) -> None:
    more: dict[str, Any] = {"data": {"file": (io.BytesIO(b""), "a")}} if form else {"raw": b""}
    assert api.ask("POST", "/files", query={"name": "a.png"}, **more).status_code == 400


NASTY = (
    "\u202eevil", "\u200b", "\ufeff", "\U0001f9d1", "e\u0301", "\ufb01", "=1+1", "@SUM(A1)",
    "'; drop table finora.record; --", "<img src=x onerror=alert(1)>", "${7*7}{{7*7}}",
    "%00%0d%0a", "\t\r\n x", "null", "a" * 4_000,
)  # fmt: skip


def test_text_that_is_only_nasty_comes_back_as_it_was(api: Api) -> None:
    giro = api.open("Giro")
    for text in NASTY:
        record = api.enter(giro, "2026-01-31", "1.00", counterparty=text)
        assert api.get(f"/records/{record['id']}")["record"]["counterparty"] == text


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic dTpw", "bearer fin_x", "Token x", "Bearer a, Bearer b",
     "Bearer \xff", "Bearer fin_" + "A" * 100_000],
)  # fmt: skip
def test_an_authorization_that_is_none_is_401(app: Flask, authorization: str) -> None:
    answer = app.test_client().get(f"{ROOT}/accounts", headers={"Authorization": authorization})
    assert (answer.status_code, answer.json["error"]["code"]) == (401, "TOKEN_INVALID")


# Ways beside the one that the catalogue takes.
WAYS = {("step_up", "ticket"), ("step_up", "response"),
        ("preview_rules", "rule_ids"), ("preview_rules", "cursor"),
        ("add_activity", "ratio"), ("correct_activity", "ratio"),
        ("request_report", "closing")}  # fmt: skip


def test_the_catalogue_asks_for_every_field(world: World) -> None:
    """So that each is tried above."""
    for endpoint in ENDPOINTS:
        if endpoint.body is not None:
            asked = world.asked(endpoint.name)
            fields = endpoint.body.model_fields.items()
            missing = {field.alias or name for name, field in fields} - asked.body.keys()
            missing -= {field for name, field in WAYS if name == endpoint.name}
            assert missing <= {"kind", "media_type"}, endpoint.name
