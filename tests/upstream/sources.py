"""A source on a socket that does as it is told, and what asks it."""

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import attrs
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from finora_adapters.upstream.cost import HourlyCost
from finora_adapters.upstream.http import UpstreamHttp
from finora_adapters.upstream.limiter import LocalLimiter
from finora_adapters.upstream.wire import Wire
from finora_core.kernel.clock import SystemClock
from finora_core.plugins import Limit, Provides

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOST = "api.mine.example"
MINE = Provides(
    name="mine", kinds=("prices",), hosts=(HOST,), capabilities=("latest", "history"),
    limits=(Limit(1_000, 1),),
)  # fmt: skip
KEY = "s3cret/key+1"


@attrs.define
class Fixed(SystemClock):
    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@attrs.define
class Waits:
    """Pauses that are noted and not waited for."""

    seconds: list[float] = attrs.field(factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@attrs.define
class Stub:
    """Answers with its script, the last of it for ever."""

    server: HTTPServer
    script: list[Callable[[Request], Response]] = attrs.field(factory=list)
    asked: list[tuple[float, Request]] = attrs.field(factory=list)

    def start(self) -> "Stub":
        self.server.expect_request(re.compile(".*")).respond_with_handler(self._said)
        return self

    def _said(self, request: Request) -> Response:
        self.asked.append((time.monotonic(), request))
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return step(request)

    @property
    def url(self) -> str:
        return self.server.url_for("").rstrip("/")


def says(status: int, body: str | bytes = "{}", **headers: str) -> Callable[[Request], Response]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: Response(body, status, named, content_type="application/json")


def drips(seconds: float) -> Callable[[Request], Response]:
    def body() -> Iterator[bytes]:
        for _ in range(int(seconds / 0.05)):
            time.sleep(0.05)
            yield b" "

    return lambda request: Response(body())


def http_of(stub: Stub | None, provides: Provides = MINE, **given: Any) -> UpstreamHttp:
    """An Http whose host is the stub, unless there is none: then as in production."""
    servers = {provides.hosts[0]: stub.url} if stub else {}
    said: dict[str, Any] = {
        "limiter": LocalLimiter(), "clock": Fixed(), "pause": Waits(), "servers": servers,
        "cost": HourlyCost(0, lambda: NOW), "credentials": {"key": KEY},
    }  # fmt: skip
    said["wire"] = Wire(limit_s=0.5) if stub else given.pop("wire", None) or Wire()
    return UpstreamHttp(provides, **{**said, **given})
