"""CoinGecko: prices of coins, in about sixty currencies and coins."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar

import attrs

from finora_adapters.upstream.providers.numbers import number
from finora_core.kernel.outcome import Missing, Ok, Outcome
from finora_core.plugins import Access, AssetRef, Day, Quoted

_BATCH = 200


@attrs.frozen
class CoinGecko:
    access: Access
    name: ClassVar[str] = "coingecko"

    def latest(self, assets: Sequence[AssetRef], quote: str) -> Outcome[Sequence[Quoted]]:
        named = {each.names["coingecko"]: each for each in assets if "coingecko" in each.names}
        ids = list(named)
        found = []
        for start in range(0, len(ids), _BATCH):
            some = ids[start : start + _BATCH]
            said = self._get("/simple/price", ids=",".join(some), vs_currencies=quote.lower())
            found += [
                Quoted(
                    asset=named[each].id,
                    quote=quote,
                    price=number(said[each][quote.lower()]),
                    at=self.access.now(),
                )
                for each in some
                if quote.lower() in said.get(each, {})
            ]
        return Ok(found)

    def history(
        self, asset: AssetRef, quote: str, since: date, until: date
    ) -> Outcome[Sequence[Day]]:
        if "coingecko" not in asset.names:
            return Missing()
        coin, currency = asset.names["coingecko"], quote.lower()
        if since == until:
            day = since.strftime("%d-%m-%Y")
            said = self._get(f"/coins/{coin}/history", date=day, localization="false")
            # A day before there was a market has none in it.
            prices = said.get("market_data", {"current_price": {}})["current_price"]
            return Ok(
                [Day(on_date=since, price=number(prices[currency]))] if currency in prices else []
            )
        begin, end = (
            int(datetime.combine(each, time(), UTC).timestamp())
            for each in (since, until + timedelta(days=1))
        )
        said = self._get(
            f"/coins/{coin}/market_chart/range",
            vs_currency=currency,
            **{"from": str(begin), "to": str(end - 1)},
        )
        # The last of a day is the nearest to its close; the further back, the fewer there are.
        last = {
            datetime.fromtimestamp(int(at) // 1000, UTC).date(): price
            for at, price in sorted(said["prices"], key=lambda each: int(each[0]))
        }
        return Ok(
            [
                Day(on_date=day, price=number(price))
                for day, price in last.items()
                if since <= day <= until
            ]
        )

    def _get(self, path: str, **query: str) -> dict[str, Any]:
        key = self.access.credentials.get("key")
        headers = {"x-cg-demo-api-key": key} if key else {}
        said = self.access.http.get(f"/api/v3{path}", headers, **query).json()
        if not isinstance(said, dict):
            raise TypeError("no object")
        return said
