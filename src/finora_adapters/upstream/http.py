"""The Http that a provider is given: its hosts and no others, its limits, and an end in time."""

import hashlib
import json
import logging
import random
import re
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import attrs

from finora_adapters.upstream.cost import HourlyCost
from finora_adapters.upstream.dialer import Dialer
from finora_adapters.upstream.limiter import Limiter
from finora_adapters.upstream.wire import NoReply, Raw, Wire
from finora_core.kernel.clock import Clock
from finora_core.kernel.outcome import Down, Missing, OverBudget, RateLimited
from finora_core.plugins import NoAnswer, Provides, Reply, retry_after

_log = logging.getLogger("finora.upstream")
_TRIES = 3
_TRANSIENT = frozenset((408, 425, 429, 500, 502, 503, 504, 529))
_FIRST_PAUSE_MS = 500
_MISSING_S = 300
_MOST_MISSING = 10_000
_PLAIN = re.compile(r"[!-\[\]-~]+")
"""ASCII without space, control characters and the backslash, which some take for a slash."""
_HEADER = re.compile(r"[ -~]*")
_OWN_HEADERS = frozenset(("host", "content-length", "transfer-encoding", "connection"))

Exchange = Mapping[str, object]
"""What was asked and answered, as JSON values and without secrets: see docs/providers.md."""


@attrs.define
class Call:
    """One question to a provider, in whose course it asks over Http."""

    ends: float
    """When it is over, by time.monotonic()."""
    most: int
    """Requests that it may make."""
    asked: int = 0
    paid: int = 0
    """Requests of those that were sent."""
    breach: str | None = None
    """What it did that the manifest or the host does not allow."""


CALL: ContextVar[Call | None] = ContextVar("CALL", default=None)
"""The one that this thread serves."""


@attrs.frozen
class _Target:
    """What is asked for, as the world writes it and as it is dialled here."""

    url: str
    dialled: str

    @property
    def own(self) -> bool:
        """Whether the operator named where it leads to."""
        return self.url != self.dialled


@attrs.define
class UpstreamHttp:
    """Of one source with one set of credentials; from any thread."""

    provides: Provides
    limiter: Limiter
    clock: Clock
    cost: HourlyCost
    credentials: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    servers: Mapping[str, str] = attrs.field(factory=dict)
    """By host, the URL that the operator named in its place. It may be anywhere."""
    wire: Wire = attrs.field(factory=lambda: Wire(dialer=Dialer()))
    limit_s: float = 30.0
    """Of one call, with all that is waited for and asked again."""
    record: Callable[[Exchange], None] | None = None
    pause: Callable[[float], None] = time.sleep
    _missing: dict[str, float] = attrs.field(factory=dict, init=False)
    """When what was not there may be asked for again."""

    def get(self, url: str, /, headers: Mapping[str, str] | None = None, **query: str) -> Reply:
        target = self._target(url, query)
        if self._missing.get(target.url, 0) > time.monotonic():
            raise NoAnswer(Missing())
        try:
            return self._tried("GET", target, headers or {}, None)
        except NoAnswer as said:
            if isinstance(said.outcome, Missing):
                self._forget_old()
                self._missing[target.url] = time.monotonic() + _MISSING_S
            raise

    def post(
        self, url: str, body: object, /, headers: Mapping[str, str] | None = None, **query: str
    ) -> Reply:
        said = {"Content-Type": "application/json", **(headers or {})}
        content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        return self._tried("POST", self._target(url, query), said, content)

    @property
    def namespace(self) -> str:
        """What requests are counted under: the source, and whose credentials they carry."""
        if not self.credentials:
            return self.provides.name
        said = "\0".join(f"{field}={self.credentials[field]}" for field in sorted(self.credentials))
        return f"{self.provides.name}:{hashlib.sha256(said.encode()).hexdigest()[:16]}"

    def redacted(self, text: str) -> str:
        """The text without any credential, however it is written in it."""
        for field, value in self.credentials.items():
            for written in {value, quote(value, safe=""), urlencode({"": value})[1:]}:
                text = text.replace(written, f"<{field}>") if written else text
        return text

    # --- where ------------------------------------------------------------------------------------

    def _target(self, url: str, query: Mapping[str, str]) -> _Target:
        if url.startswith("/") and not url.startswith("//"):
            url = f"https://{self.provides.hosts[0]}{url}"
        if not _PLAIN.fullmatch(url):
            raise self._breached("it asks for what is no URL")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise self._breached("it asks for what is no URL") from None
        host = parts.hostname or ""
        if parts.scheme != "https" or port not in (None, 443) or parts.netloc.lower() not in (
            host, f"{host}:443"
        ):  # fmt: skip
            raise self._breached(f"it asks for {parts.scheme}://{host}, and not over https")
        if host not in self.provides.hosts:
            raise self._breached(f"it asks for {host}, which its manifest does not name")
        asked = "&".join(filter(None, (parts.query, urlencode(query))))
        path = f"{parts.path}{f'?{asked}' if asked else ''}"
        public = f"https://{host}"
        return _Target(public + path, self.servers.get(host, public).rstrip("/") + path)

    def _breached(self, said: str) -> NoAnswer:
        said = self.redacted(said)
        _log.error("source %s: %s", self.provides.name, said)
        if (call := CALL.get()) is not None:
            call.breach = said
        return NoAnswer(Down(said))

    # --- asking -----------------------------------------------------------------------------------

    def _tried(
        self, method: str, target: _Target, headers: Mapping[str, str], content: bytes | None
    ) -> Reply:
        ends, call = time.monotonic() + self.limit_s, CALL.get()
        if call is not None:
            ends = min(ends, call.ends)
        again = method == "GET" or self.provides.safe_posts
        for attempt in range(_TRIES):
            self._count(call)
            self._take(ends)
            raw, failed = self._once(method, target, headers, content, ends)
            now = self.clock.now()
            if raw is not None and raw.status not in _TRANSIENT:
                break
            said = None if raw is None else retry_after(raw.headers, now)
            if raw is not None and raw.status == 429 and said is None:
                # It does not say when, and is not asked to say it again.
                break
            pause = said if said is not None else _backoff_s(attempt)
            fits = time.monotonic() + pause < ends
            # Whoever answers 429 did nothing with what it was asked.
            safe = again or (raw is not None and raw.status == 429)
            if attempt == _TRIES - 1 or not fits or not safe:
                break
            self.pause(pause)
        if raw is None:
            raise NoAnswer(Down(self.redacted(failed)))
        return Reply.of(raw.status, raw.headers, raw.body, now)

    def _count(self, call: Call | None) -> None:
        if call is None:
            return
        call.asked += 1
        if call.asked > call.most:
            raise self._breached(f"it makes more than {call.most} requests for one answer")

    def _take(self, ends: float) -> None:
        """Wait for a free place. Raises NoAnswer where there is none in time."""
        while wait_ms := self.limiter.take(self.namespace, self.provides.limits):
            wait = wait_ms / 1000
            if time.monotonic() + wait >= ends:
                raise NoAnswer(RateLimited(-(-wait_ms // 1000)))
            self.pause(wait)
        left = self.cost.spend(self.provides.cost_micros)
        if left is not None:
            raise NoAnswer(OverBudget(left))
        if (call := CALL.get()) is not None:
            call.paid += 1

    def _once(
        self,
        method: str,
        target: _Target,
        headers: Mapping[str, str],
        content: bytes | None,
        ends: float,
    ) -> tuple[Raw | None, str]:
        sent = {
            name: value
            for name, value in headers.items()
            if name.lower() not in _OWN_HEADERS and _HEADER.fullmatch(name + value)
        }
        limit = max(min(self.wire.limit_s, ends - time.monotonic()), 0.001)
        try:
            wire = attrs.evolve(self.wire, dialer=None) if target.own else self.wire
            raw = wire.ask(method, target.dialled, headers=sent, content=content, limit_s=limit)
        except NoReply as error:
            return None, str(error)
        if self.record is not None:
            self.record(self._exchange(method, target.url, content, raw))
        return raw, ""

    def _exchange(self, method: str, url: str, content: bytes | None, raw: Raw) -> Exchange:
        body = self.redacted(raw.body.decode(errors="replace"))
        sent = None if content is None else json.loads(self.redacted(content.decode()))
        asked = {"method": method, "uri": self.redacted(url), "request_body": sent}
        # As text: numbers that pass through a parser may come out with other digits.
        return {**asked, "status": raw.status, "response_text": body}

    def _forget_old(self) -> None:
        if len(self._missing) < _MOST_MISSING:
            return
        now = time.monotonic()
        self._missing = {url: until for url, until in self._missing.items() if until > now}
        if len(self._missing) >= _MOST_MISSING:
            self._missing = {}


def _backoff_s(attempt: int) -> float:
    """Longer each time, and never the same for all who failed together."""
    return random.randrange(_FIRST_PAUSE_MS // 2, _FIRST_PAUSE_MS) * (1 << attempt) / 1000


def credentials_of(provides: Provides, said: Mapping[str, Any]) -> Mapping[str, str]:
    """Of what is set for plugins, what this source is given."""
    found = {
        each.field: said.get(f"{provides.name}_{each.field}".upper())
        for each in provides.credentials
    }
    return {field: value.get_secret_value() for field, value in found.items() if value is not None}
