"""Addresses of Bitcoin, from a public or an own server that speaks as mempool.space does."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote as quoted

import attrs

from finora_adapters.upstream.providers.chains import address_on
from finora_adapters.upstream.providers.numbers import instant, units, whole
from finora_core.kernel.outcome import Down, Ok, Outcome
from finora_core.plugins import Access, Batch, Held, Movement

_SCALE = 8
_PAGE, _MOST_PAGES = 25, 100


@attrs.frozen
class Bitcoin:
    """What is confirmed; what waits in the mempool may never be."""

    access: Access
    name: ClassVar[str] = "bitcoin"

    def balances(self, account: str) -> Outcome[Sequence[Held]]:
        address = quoted(address_on("bitcoin", account), safe="")
        said = self.access.http.get(f"/api/address/{address}").json()
        stats = said["chain_stats"]
        count = whole(stats["funded_txo_sum"]) - whole(stats["spent_txo_sum"])
        return Ok([Held(name="BTC", symbol="BTC", quantity=units(count, _SCALE), scale=_SCALE)])

    def transactions(self, account: str, cursor: str | None) -> Outcome[Batch]:
        """The cursor is the newest transaction that was read: it lists the newest first."""
        found: list[Mapping[str, Any]] = []
        address = address_on("bitcoin", account)
        path = f"/api/address/{quoted(address, safe='')}/txs/chain"
        for _ in range(_MOST_PAGES):
            page = self.access.http.get(f"{path}/{found[-1]['txid']}" if found else path).json()
            if not isinstance(page, list):
                raise TypeError("no list")
            ids = [each["txid"] for each in page]
            read = ids.index(cursor) if cursor in ids else len(page)
            found += page[:read]
            if read < len(page) or len(page) < _PAGE:
                break
        else:
            return Down(f"more than {_PAGE * _MOST_PAGES} transactions since the last one read")
        moved = [each for row in reversed(found) for each in _movements(row, address)]
        newest = found[0]["txid"] if found else cursor
        if newest is not None and not isinstance(newest, str):
            raise TypeError("no id")
        return Ok(Batch(movements=moved, next=newest))


def _movements(row: Mapping[str, Any], account: str) -> list[Movement]:
    """Inputs are not each other's, so what moved is the sum of them; and the fee is ours where
    every input is."""
    spent = [each["prevout"] for each in row["vin"] if each.get("prevout") is not None]
    ours = [each for each in spent if each.get("scriptpubkey_address") == account]
    received = [each for each in row["vout"] if each.get("scriptpubkey_address") == account]
    change = sum(whole(each["value"]) for each in received)
    change -= sum(whole(each["value"]) for each in ours)
    fee = whole(row["fee"]) if ours and len(ours) == len(row["vin"]) else 0
    at = instant(row["status"]["block_time"])
    found = []
    for key, count, kind in (("", change + fee, "transfer"), (":fee", -fee, "fee")):
        if count:
            found.append(
                Movement(
                    id=f"{row['txid']}{key}", at=at, name="BTC", symbol="BTC",
                    quantity=units(count, _SCALE), scale=_SCALE,
                    kind="fee" if kind == "fee" else "transfer",
                )
            )  # fmt: skip
    return found
