"""Etherscan: what addresses of Ethereum and its kin hold, and what moved on them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs

from finora_adapters.upstream.providers.numbers import instant, units, whole
from finora_core.kernel.outcome import AuthExpired, Down, Ok, Outcome, RateLimited
from finora_core.plugins import Access, Batch, Held, Movement, NoAnswer

_SCALE = 18
_MOST_ROWS = 10_000
"""That one answer holds: there may be more."""


@attrs.frozen
class Etherscan:
    """An account is `0x...` on Ethereum, or `eip155:10:0x...` (CAIP-10) on another chain."""

    access: Access
    name: ClassVar[str] = "etherscan"

    def balances(self, account: str) -> Outcome[Sequence[Held]]:
        """Of the chain's own coin: the service lists an account's tokens to paying customers."""
        said = self._ask(account, "account", "balance", tag="latest")
        held = Held(name="ETH", symbol="ETH", quantity=units(said, _SCALE), scale=_SCALE)
        return Ok([held])

    def transactions(self, account: str, cursor: str | None) -> Outcome[Batch]:
        """The cursor is the first block that was not read."""
        now = str(int(self.access.now().timestamp()))
        last = whole(self._ask(account, "block", "getblocknobytime", timestamp=now,
                               closest="before"))  # fmt: skip
        first = whole(cursor or "0")
        if first > last:
            return Ok(Batch(movements=[], next=cursor))
        span = {"startblock": str(first), "endblock": str(last), "sort": "asc"}
        lists = [
            self._rows(account, action, span) for action in ("txlist", "txlistinternal", "tokentx")
        ]
        # A full list may end in the middle of a block: that one is read again.
        ends = [whole(rows[-1]["blockNumber"]) for rows in lists if len(rows) >= _MOST_ROWS]
        if ends and min(ends) <= first:
            return Down("a block holds more of this account than one answer does")
        after = min(ends, default=last + 1)
        address = account.rpartition(":")[2].lower()
        moved = []
        for read, rows in zip((_native, _internal, _token), lists, strict=True):
            seen: Counter[str] = Counter()
            for row in rows:
                if whole(row["blockNumber"]) < after:
                    seen[row["hash"]] += 1
                    number = seen[row["hash"]]
                    moved += [(whole(row["blockNumber"]), each)
                              for each in read(row, address, number)]  # fmt: skip
        moved.sort(key=lambda each: each[0])
        return Ok(Batch(movements=[each for _, each in moved], next=str(after)))

    def _rows(self, account: str, action: str, span: Mapping[str, str]) -> list[dict[str, Any]]:
        said = self._ask(account, "account", action, **span)
        if not isinstance(said, list):
            raise TypeError("no list")
        return said

    def _ask(self, account: str, module: str, action: str, **query: str) -> Any:
        chain, _, address = account.rpartition(":")
        asked = {"module": module, "action": action, **query}
        if module == "account":
            asked["address"] = address
        said = self.access.http.get(
            "/v2/api",
            None,
            chainid=chain.removeprefix("eip155:") or "1",
            apikey=self.access.credentials["key"],
            **asked,
        ).json()
        if said["status"] == "1" or said["message"] == "No transactions found":
            return said["result"]
        # It answers 200 also to what it does not do.
        result = str(said["result"]).lower()
        if "rate limit" in result:
            raise NoAnswer(RateLimited(1))
        if "api key" in result:
            raise NoAnswer(AuthExpired())
        raise NoAnswer(Down("it does not answer the question"))


def _native(row: Mapping[str, Any], address: str, number: int) -> list[Movement]:
    found = []
    if row.get("isError") != "1":
        found += _moved(row, address, str(row["hash"]), "ETH", "ETH", _SCALE)
    paid = whole(row["gasUsed"] or "0") * whole(row["gasPrice"] or "0")
    if row["from"].lower() == address and paid:
        found.append(
            Movement(
                id=f"{row['hash']}:fee", at=instant(row["timeStamp"]), name="ETH", symbol="ETH",
                quantity=units(-paid, _SCALE), scale=_SCALE, kind="fee",
            )
        )  # fmt: skip
    return found


def _internal(row: Mapping[str, Any], address: str, number: int) -> list[Movement]:
    if row.get("isError") == "1":
        return []
    trace = row.get("traceId") or number
    return _moved(row, address, f"{row['hash']}:internal:{trace}", "ETH", "ETH", _SCALE)


def _token(row: Mapping[str, Any], address: str, number: int) -> list[Movement]:
    contract, scale = str(row["contractAddress"]), whole(row["tokenDecimal"])
    return _moved(
        row, address, f"{row['hash']}:token:{number}", contract, row["tokenSymbol"], scale
    )


def _moved(
    row: Mapping[str, Any], address: str, key: str, name: str, symbol: str, scale: int
) -> list[Movement]:
    sender, receiver = row["from"].lower(), row["to"].lower()
    value = whole(row["value"])
    # What is sent to oneself moves nothing.
    if not value or sender == receiver or address not in (sender, receiver):
        return []
    into = receiver == address
    return [
        Movement(
            id=key,
            at=instant(row["timeStamp"]),
            name=name,
            symbol=symbol,
            quantity=units(value if into else -value, scale),
            scale=scale,
            counterparty=row["from"] if into else row["to"],
        )
    ]
