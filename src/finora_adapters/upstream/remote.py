"""Sources that another installation asks for this one: the data provider's client."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import attrs

from finora_adapters.upstream.wire import NoReply, Raw, Wire
from finora_core.kernel.clock import Clock
from finora_core.kernel.outcome import (
    AuthExpired,
    Down,
    Outcome,
    OverBudget,
    RateLimited,
    Unsupported,
)
from finora_core.kernel.plain import to_plain
from finora_core.market.provision.codec import heard
from finora_core.plugins import (
    AssetRef,
    Batch,
    Day,
    Held,
    Identified,
    Picture,
    Provides,
    Quoted,
    Seen,
    retry_after,
)

PATH = "/api/v1/sources/"
_PAUSE_S = 60


@attrs.frozen
class DataProvider:
    """Where it is, and this installation's key there."""

    url: str
    key: str = attrs.field(repr=False)
    clock: Clock
    # A source may take a minute, and the answer its way.
    wire: Wire = attrs.field(factory=lambda: Wire(limit_s=70.0))

    def ask(self, source: str, question: str, given: Mapping[str, object]) -> Outcome[Any]:
        body = json.dumps({"source": source, **{k: to_plain(v) for k, v in given.items()}})
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        try:
            raw = self.wire.ask(
                "POST", self.url + PATH + question, headers=headers, content=body.encode()
            )
        except NoReply as error:
            return Down(str(error))
        return self._outcome(question, raw)

    def _outcome(self, question: str, raw: Raw) -> Outcome[Any]:
        said = _object(raw.body)
        if raw.status == 200:
            return heard(question, said.get("data"))
        error = said.get("error")
        code = error.get("code") if isinstance(error, dict) else None
        wait = retry_after(raw.headers, self.clock.now()) or _PAUSE_S
        match raw.status, code:
            case ((401 | 402 | 403), _) | (412, "CREDENTIALS_MISSING"):
                return AuthExpired()
            case _, "UNKNOWN_SOURCE" | "SOURCE_CANNOT":
                return Unsupported()
            case (429, "QUOTA_USED") | (503, "GLOBAL_COST_CAP"):
                return OverBudget(wait)
            case 429, _:
                return RateLimited(wait)
        return Down(f"the data provider answers {raw.status}")


@attrs.frozen
class RemoteSource:
    """One source there. The manifest is this installation's own: both have the same plugins, and
    what the other has not it answers with Unsupported."""

    provides: Provides
    there: DataProvider

    @property
    def missing(self) -> tuple[str, ...]:
        """None here: the credentials are there."""
        return ()

    @property
    def aside(self) -> str | None:
        return None

    def latest(self, assets: Sequence[AssetRef], quote: str) -> Outcome[Sequence[Quoted]]:
        return self._ask("latest", assets=list(assets), quote=quote)

    def history(
        self, asset: AssetRef, quote: str, since: date, until: date
    ) -> Outcome[Sequence[Day]]:
        return self._ask("history", asset=asset, quote=quote, since=since, until=until)

    def rates(
        self, base: str, quotes: Sequence[str], since: date, until: date
    ) -> Outcome[Mapping[str, Sequence[Day]]]:
        return self._ask("rates", base=base, quotes=list(quotes), since=since, until=until)

    def find(self, text: str) -> Outcome[Sequence[Identified]]:
        return self._ask("find", text=text)

    def balances(self, account: str) -> Outcome[Sequence[Held]]:
        return self._ask("balances", account=account)

    def transactions(self, account: str, cursor: str | None) -> Outcome[Batch]:
        return self._ask("transactions", account=account, cursor=cursor)

    def picture(self, picture: Picture) -> Outcome[Sequence[Seen]]:
        return self._ask("picture", picture=b64encode(picture.content).decode())

    def metered(self, question: str, *given: Any) -> tuple[Outcome[Any], int]:
        """What it costs is paid there."""
        outcome: Outcome[Any] = getattr(self, question)(*given)
        return outcome, 0

    def _ask(self, question: str, **given: object) -> Outcome[Any]:
        return self.there.ask(self.provides.name, question, given)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
