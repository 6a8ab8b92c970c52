"""What sources answered once, played to a provider again: no network, and faults where wanted."""

import json
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import attrs

from finora_core.plugins import AssetRef, Mail, NoAnswer, Notice, Picture, Reply


@attrs.frozen(kw_only=True)
class Exchange:
    """One request and its answer."""

    method: str
    url: str
    """Credentials in it are written `<field>`, or left out."""
    sent: Any = None
    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        """The body's values, numbers with a fraction as Decimals; None where it is no JSON."""
        try:
            return json.loads(self.body, parse_float=Decimal)
        except ValueError:
            return None


Fault = Callable[[Exchange], Exchange | NoAnswer]
"""What becomes of an answer on its way."""


@attrs.frozen
class Ask:
    """A question to a provider, as its method and what that is given."""

    method: str
    given: tuple[Any, ...]


def read_exchanges(path: Path) -> tuple[Exchange, ...]:
    """A list of `{"method", "uri", "request_body", "status", "response" or "response_text"}`, or
    such a list as the `exchanges` of an object."""
    said = json.loads(path.read_text(), parse_float=Decimal)
    listed = said["exchanges"] if isinstance(said, dict) else said
    return tuple(
        Exchange(
            method=each["method"],
            url=each["uri"],
            sent=each.get("request_body"),
            status=each["status"],
            body=(
                each["response_text"] if "response_text" in each else dumped(each["response"])
            ).encode(),
        )
        for each in listed
    )


def read_asks(path: Path) -> tuple[Ask, ...]:
    """The `asks` of a file of recordings: `{"method": "latest", "assets": [...], "quote": ...}`."""
    said = json.loads(path.read_text())
    listed = said["asks"] if isinstance(said, dict) else []
    return tuple(_ask(dict(each)) for each in listed)


def _ask(said: dict[str, Any]) -> Ask:
    method = said.pop("method")
    if "assets" in said:
        said["assets"] = [AssetRef(**each) for each in said["assets"]]
    if "asset" in said:
        said["asset"] = AssetRef(**said["asset"])
    for day in {"since", "until"} & said.keys():
        said[day] = date.fromisoformat(said[day])
    if "mail" in said:
        said["mail"] = Mail(**{**said["mail"], "content": said["mail"]["content"].encode()})
    if "notice" in said:
        said["notice"] = Notice(**said["notice"])
    if "picture" in said:
        said["picture"] = Picture(b64decode(said["picture"]))
    order = ("asset", "assets", "base", "quote", "quotes", "since", "until", "text", "account",
             "cursor", "mail", "notice", "picture")  # fmt: skip
    return Ask(method, tuple(said[name] for name in order if name in said))


def dumped(value: Any) -> str:
    """JSON with every digit of its Decimals."""
    if isinstance(value, dict):
        pairs = ",".join(f"{json.dumps(key)}:{dumped(each)}" for key, each in value.items())
        return f"{{{pairs}}}"
    if isinstance(value, list):
        return f"[{','.join(map(dumped, value))}]"
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else str(value)
    return json.dumps(value)


class NotRecorded(AssertionError):
    """The provider asks for what there is no recording of."""


@attrs.define
class Replay:
    """An Http that answers from recordings. What was not recorded fails the test that asks."""

    exchanges: Sequence[Exchange]
    hosts: Sequence[str]
    now: Callable[[], datetime]
    credentials: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    faults: Mapping[int, Fault] = attrs.field(factory=dict)
    """By the number of the request, from 0."""
    otherwise: bytes | None = None
    """What is answered to what was not recorded."""
    asked: list[Exchange] = attrs.field(factory=list)
    headers: list[Mapping[str, str]] = attrs.field(factory=list, repr=False)
    """Of each request; there may be a credential in them."""

    def get(self, url: str, /, headers: Mapping[str, str] | None = None, **query: str) -> Reply:
        return self._answer("GET", url, query, None, headers)

    def post(
        self, url: str, body: object, /, headers: Mapping[str, str] | None = None, **query: str
    ) -> Reply:
        return self._answer("POST", url, query, json.loads(json.dumps(body)), headers)

    def _answer(
        self,
        method: str,
        url: str,
        query: Mapping[str, str],
        sent: Any,
        headers: Mapping[str, str] | None,
    ) -> Reply:
        url = f"https://{self.hosts[0]}{url}" if url.startswith("/") else url
        host = urlsplit(url).hostname
        assert host in self.hosts, f"it asks {host}, which its manifest does not name"
        wanted = self._key(method, url, query.items(), sent)
        found = next(
            (each for each in self.exchanges if self._key_of(each) == wanted),
            None,
        )
        if found is None:
            if self.otherwise is None:
                raise NotRecorded(f"nothing is recorded of {wanted}")
            found = Exchange(method=method, url=url, sent=sent, body=self.otherwise)
        number = len(self.asked)
        self.asked.append(found)
        self.headers.append(dict(headers or {}))
        if number in self.faults:
            changed = self.faults[number](found)
            if isinstance(changed, NoAnswer):
                raise changed
            found = changed
        return Reply.of(found.status, found.headers, found.body, self.now())

    def _key_of(self, exchange: Exchange) -> object:
        return self._key(exchange.method, exchange.url, (), exchange.sent)

    def _key(
        self, method: str, url: str, query: Iterable[tuple[str, str]], sent: Any
    ) -> tuple[object, ...]:
        """What tells requests apart: neither the order of the query nor a credential."""
        parts = urlsplit(url)
        every = [*parse_qsl(parts.query, keep_blank_values=True), *query]
        named = {(name, self._hidden(value)) for name, value in every}
        kept = sorted(pair for pair in named if not _is_hidden(pair[1]))
        path = self._hidden(unquote(parts.path))
        body = json.loads(self._hidden(json.dumps(sent, sort_keys=True)))
        return method, parts.hostname, path.rstrip("/"), tuple(kept), json.dumps(body)

    def _hidden(self, text: str) -> str:
        for field, value in self.credentials.items():
            text = text.replace(value, f"<{field}>").replace(quote(value, safe=""), f"<{field}>")
        return text


def _is_hidden(value: str) -> bool:
    return value.startswith("<") and value.endswith(">")
