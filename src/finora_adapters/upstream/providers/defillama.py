"""DeFiLlama: prices in US dollars of whatever trades on a chain."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import ClassVar

import attrs

from finora_adapters.upstream.providers.numbers import instant, number
from finora_core.kernel.outcome import Missing, Ok, Outcome, Unsupported
from finora_core.plugins import Access, AssetRef, Day, Quoted

_BATCH = 50
_MOST_DAYS = 500
_CHAINS = {"eip155:1": "ethereum", "eip155:10": "optimism", "eip155:56": "bsc",
           "eip155:137": "polygon", "eip155:8453": "base", "eip155:42161": "arbitrum",
           "eip155:43114": "avax"}  # fmt: skip


@attrs.frozen
class DefiLlama:
    access: Access
    name: ClassVar[str] = "defillama"

    def latest(self, assets: Sequence[AssetRef], quote: str) -> Outcome[Sequence[Quoted]]:
        if quote != "USD":
            return Unsupported()
        named = {coin: each for each in assets if (coin := _coin(each)) is not None}
        coins = list(named)
        found = []
        for start in range(0, len(coins), _BATCH):
            some = coins[start : start + _BATCH]
            said = self.access.http.get(f"/prices/current/{','.join(some)}").json()["coins"]
            found += [
                Quoted(
                    asset=named[coin].id,
                    quote=quote,
                    price=number(said[coin]["price"]),
                    at=instant(said[coin]["timestamp"]),
                )
                for coin in some
                if coin in said
            ]
        return Ok(found)

    def history(
        self, asset: AssetRef, quote: str, since: date, until: date
    ) -> Outcome[Sequence[Day]]:
        coin = _coin(asset)
        if quote != "USD":
            return Unsupported()
        if coin is None:
            return Missing()
        days: dict[date, Day] = {}
        first = since.toordinal()
        while first <= until.toordinal():
            span = min(until.toordinal() - first + 1, _MOST_DAYS)
            start = datetime.combine(date.fromordinal(first), time(23, 59, 59), UTC)
            said = self.access.http.get(
                f"/chart/{coin}",
                start=str(int(start.timestamp())),
                span=str(span),
                period="1d",
                searchWidth="12h",
            ).json()["coins"]
            for each in said.get(coin, {"prices": []})["prices"]:
                day = instant(each["timestamp"]).date()
                if since <= day <= until:
                    days[day] = Day(on_date=day, price=number(each["price"]))
            first += span
        return Ok([days[day] for day in sorted(days)])


def _coin(asset: AssetRef) -> str | None:
    """`ethereum:0x...` of what is on a chain, else what it or CoinGecko calls it."""
    if "defillama" in asset.names:
        return asset.names["defillama"]
    chain, _, token = asset.id.partition("/")
    if chain in _CHAINS and token.startswith("erc20:"):
        return f"{_CHAINS[chain]}:{token.removeprefix('erc20:')}"
    return f"coingecko:{asset.names['coingecko']}" if "coingecko" in asset.names else None
