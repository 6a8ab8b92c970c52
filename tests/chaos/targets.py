"""How a client reaches Finora: as a library, or over HTTP. A target has the same two methods
whatever it is, and is chosen by its name in `TARGETS`."""

import http.client
import io
import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, Protocol
from urllib.parse import urlencode
from uuid import UUID

import attrs

from finora import (
    Amount,
    Command,
    Finora,
    ImportRequest,
    Posting,
    Replayed,
    Scope,
    Settings,
    currency,
)
from finora_core.kernel.errors import Refusal, Unavailable
from finora_core.kernel.plain import to_plain
from finora_core.kernel.work import CommandInFlight
from finora_core.ledger.model import AccountKind

EUR = currency("EUR")
WALLETS = 4
FUNDS = 20_000


class Unsure(Exception):
    """It may have happened or not; ask again with the same key."""


class Refused(Exception):
    """It did not happen and will not."""


@attrs.frozen
class Answer:
    id: str
    replayed: bool


class Target(Protocol):
    """Raises Unsure and Refused."""

    def pay(self, key: str, source: int, target: int, units: int) -> Answer:
        """Move money between two of the wallets; the entry's reference is the key."""

    def bring(self, key: str, lines: int) -> Answer:
        """Ask for an import of a file of so many lines, each named after the key."""

    def close(self) -> None: ...


def statement(key: str, lines: int) -> bytes:
    rows = [f"2026-01-{number % 28 + 1:02},-1.00,{key}-{number}" for number in range(lines)]
    return "\n".join(["Date,Amount,Description", *rows, ""]).encode()


def tenant_of(seed: int) -> str:
    return f"chaos-{seed}"


def open_wallets(finora: Finora, tenant: str) -> None:
    """Wallets that can never be overdrawn, each with money; once, before anything breaks."""
    scope = finora.scope(tenant, "clients")
    bank = finora.ledger.open_account(scope, "bank", AccountKind.EQUITY)
    for number in range(WALLETS):
        wallet = finora.ledger.open_account(scope, f"wallet{number}", floor=0)
        finora.ledger.transfer(
            scope, bank.id, wallet.id, Amount(FUNDS, EUR), reference=f"funds{number}"
        )


@attrs.frozen
class Library:
    """`keyed` is off in a mutant: then whoever repeats a write makes another."""

    finora: Finora
    scope: Scope
    wallets: Mapping[int, UUID]
    keyed: bool = True

    @classmethod
    def open(cls, said: Mapping[str, Any]) -> "Library":
        settings = Settings(
            data=Path(said["data"]), env="test", database_url=said["dsn"], pool_size=8
        )
        finora = Finora.open(settings)
        scope = finora.scope(said["tenant"], "clients")
        names = {account.name: account.id for account in finora.ledger.accounts(scope)}
        wallets = {number: names[f"wallet{number}"] for number in range(WALLETS)}
        return cls(finora, scope, wallets, said["keyed"])

    def pay(self, key: str, source: int, target: int, units: int) -> Answer:
        amount = Amount(units, EUR)
        legs = (Posting(self.wallets[source], -amount), Posting(self.wallets[target], amount))
        said = f"pay {source} {target} {units}"
        return self._asked(
            key, said, lambda scope: self.finora.ledger.post(scope, legs, reference=key).id
        )

    def bring(self, key: str, lines: int) -> Answer:
        file = io.BytesIO(statement(key, lines))
        request = ImportRequest(account="Giro", currency="EUR")
        return self._asked(
            key,
            f"bring {lines}",
            lambda scope: self.finora.imports.submit(scope, file, f"{key}.csv", request)[0],
        )

    def _asked(self, key: str, said: str, act: Callable[[Scope], UUID]) -> Answer:
        """One try. What a key stands for is its content, and what it answers the id."""
        command = Command(key=key, fingerprint=said.encode(), encode=_first_id)
        scope = attrs.evolve(self.scope, request_id=key, cause=command if self.keyed else None)
        try:
            return Answer(str(act(scope)), replayed=False)
        except Replayed as replayed:
            return Answer(json.loads(replayed.reply), replayed=True)
        except (Unavailable, CommandInFlight, OSError) as error:
            raise Unsure(repr(error)) from error
        except Refusal as error:
            raise Refused(error.code) from error

    def close(self) -> None:
        self.finora.close()


def _first_id(result: object) -> bytes:
    first = result[0] if isinstance(result, tuple) else getattr(result, "id", None)
    return json.dumps(to_plain(first)).encode()


@attrs.define
class Http:
    """Over the API, with a token. Some replies are lost: the connection breaks once all is sent."""

    port: int
    token: str
    keyed: bool
    random: Random
    wallets: dict[int, str] = attrs.field(factory=dict)
    _kept: threading.local = attrs.field(factory=threading.local)
    """A connection a thread."""

    @classmethod
    def open(cls, said: Mapping[str, Any]) -> "Http":
        found = cls(said["port"], said["token"], said["keyed"], Random(f"{said['name']} replies"))
        _, _, data = found._ask("GET", "/accounts", None, {}, lose=0.0)
        names = {account["name"]: account["id"] for account in data}
        found.wallets = {number: names[f"wallet{number}"] for number in range(WALLETS)}
        return found

    def pay(self, key: str, source: int, target: int, units: int) -> Answer:
        legs = [
            {"account_id": self.wallets[wallet], "amount": {"amount": amount, "asset": "EUR"}}
            for wallet, amount in ((source, _euros(-units)), (target, _euros(units)))
        ]
        body = json.dumps({"postings": legs, "reference": key}).encode()
        return self._write(key, "/entries", body, "application/json", 201, "id")

    def bring(self, key: str, lines: int) -> Answer:
        query = urlencode({"name": f"{key}.csv", "account": "Giro", "currency": "EUR"})
        file = statement(key, lines)
        return self._write(
            key, f"/imports?{query}", file, "application/octet-stream", 202, "import_id"
        )

    def _write(
        self, key: str, path: str, body: bytes, kind: str, wanted: int, field: str
    ) -> Answer:
        headers = {"Content-Type": kind}
        if self.keyed:
            headers["Idempotency-Key"] = key
        status, replayed, said = self._ask("POST", path, body, headers, lose=_LOST)
        if status == wanted:
            return Answer(said[field], replayed)
        if status == 503 or said["code"] == "IDEMPOTENCY_KEY_IN_FLIGHT":
            raise Unsure(said["code"])
        # The token is sound and what is asked is right: these would be faults of the API.
        assert status not in (400, 401, 403, 500), (status, said)
        raise Refused(said["code"])

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], lose: float
    ) -> tuple[int, bool, Any]:
        """Status, whether it is an earlier answer, and the data or the error."""
        connection: http.client.HTTPConnection | None = getattr(self._kept, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
            self._kept.connection = connection
        try:
            headers = headers | {"Authorization": f"Bearer {self.token}"}
            connection.request(method, f"/api/v1{path}", body, headers)
            if self.random.random() < lose:
                # Long enough for some to be answered in vain, and for some to be abandoned.
                time.sleep(self.random.uniform(0, 0.02))
                raise ConnectionError("the reply is lost")
            answer = connection.getresponse()
            said = json.loads(answer.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Unsure(repr(error)) from error
        replayed = answer.headers.get("Idempotency-Replayed") == "true"
        return answer.status, replayed, said["data"] if answer.status < 400 else said["error"]

    def close(self) -> None:
        """Each thread's connection ends with it."""


def _euros(units: int) -> str:
    return f"{'-' if units < 0 else ''}{abs(units) // 100}.{abs(units) % 100:02}"


_LOST = 0.03
TARGETS: dict[str, Callable[[Mapping[str, Any]], Target]] = {
    "library": Library.open,
    "http": Http.open,
}
