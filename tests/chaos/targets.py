"""How a client reaches Finora: as a library here. A shell over HTTP is another target with the same
two methods, chosen by its name in `TARGETS`."""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol
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


TARGETS: dict[str, Callable[[Mapping[str, Any]], Target]] = {"library": Library.open}
