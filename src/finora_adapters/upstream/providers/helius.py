"""Helius: what addresses of Solana hold, and what moved on them."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote as quoted

import attrs

from finora_adapters.upstream.providers.chains import address_on
from finora_adapters.upstream.providers.numbers import instant, units, whole
from finora_core.kernel.outcome import Down, Ok, Outcome
from finora_core.plugins import Access, Batch, Held, Movement

_SCALE = 9
_PAGE, _MOST_PAGES = 100, 50


@attrs.frozen
class Helius:
    access: Access
    name: ClassVar[str] = "helius"

    def balances(self, account: str) -> Outcome[Sequence[Held]]:
        said = self._get(address_on("solana", account), "balances")
        held = [Held(name="SOL", symbol="SOL", quantity=units(said["nativeBalance"], _SCALE),
                     scale=_SCALE)]  # fmt: skip
        for each in said["tokens"]:
            scale = whole(each["decimals"])
            amount = units(each["amount"], scale)
            held.append(
                Held(name=str(each["mint"]), symbol=str(each["mint"]), quantity=amount, scale=scale)
            )
        return Ok(held)

    def transactions(self, account: str, cursor: str | None) -> Outcome[Batch]:
        """The cursor is the newest signature that was read: it lists the newest first."""
        address, found = address_on("solana", account), list[dict[str, Any]]()
        for _ in range(_MOST_PAGES):
            asked = {"before": found[-1]["signature"]} if found else {}
            asked |= {"until": cursor} if cursor else {}
            page = self._get(address, "transactions", limit=str(_PAGE), **asked)
            if not isinstance(page, list):
                raise TypeError("no list")
            found += page
            if len(page) < _PAGE:
                break
        else:
            return Down(f"more than {_PAGE * _MOST_PAGES} transactions since the last one read")
        moved = [each for row in reversed(found) for each in _movements(row, address)]
        newest = found[0]["signature"] if found else cursor
        if newest is not None and not isinstance(newest, str):
            raise TypeError("no signature")
        return Ok(Batch(movements=moved, next=newest))

    def _get(self, address: str, what: str, **query: str) -> Any:
        path = f"/v0/addresses/{quoted(address, safe='')}/{what}"
        key = {"api-key": self.access.credentials["key"]}
        return self.access.http.get(path, None, **query, **key).json()


def _movements(row: Mapping[str, Any], account: str) -> list[Movement]:
    signature, at = str(row["signature"]), instant(row["timestamp"])
    found = []

    def moved(key: str, name: str, count: int, scale: int, other: str | None, fee: bool) -> None:
        if count:
            found.append(
                Movement(
                    id=f"{signature}:{key}", at=at, name=name, symbol=name,
                    quantity=units(count, scale), scale=scale,
                    kind="fee" if fee else "transfer", counterparty=other,
                )
            )  # fmt: skip

    if row["transactionError"] is None:
        for number, each in enumerate(row["nativeTransfers"]):
            sender, receiver = each["fromUserAccount"], each["toUserAccount"]
            if (sender == account) != (receiver == account):
                into = receiver == account
                count = whole(each["amount"])
                other = sender if into else receiver
                moved(f"native:{number}", "SOL", count if into else -count, _SCALE, other, False)
        # Exactly, and per token: transfers of tokens are listed as rounded numbers.
        tokens: dict[tuple[str, int], int] = {}
        for data in row["accountData"]:
            for change in data["tokenBalanceChanges"]:
                if change["userAccount"] == account:
                    raw = change["rawTokenAmount"]
                    key = (str(change["mint"]), whole(raw["decimals"]))
                    tokens[key] = tokens.get(key, 0) + whole(raw["tokenAmount"])
        for (mint, scale), count in tokens.items():
            moved(f"token:{mint}", mint, count, scale, None, False)
    if row["feePayer"] == account:
        moved("fee", "SOL", -whole(row["fee"]), _SCALE, None, True)
    return found
