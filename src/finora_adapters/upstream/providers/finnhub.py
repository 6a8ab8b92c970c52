"""Finnhub: prices of shares and funds, in the currency that they trade in, and who they are."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any, ClassVar

import attrs

from finora_adapters.upstream.providers.numbers import instant, number, whole
from finora_core.kernel.outcome import Missing, Ok, Outcome, Unsupported
from finora_core.plugins import Access, AssetRef, Day, Identified, Quoted

_DAY_S = 86_400


@attrs.frozen
class Finnhub:
    access: Access
    name: ClassVar[str] = "finnhub"
    _currencies: dict[str, str] = attrs.field(factory=dict, init=False)
    """By symbol: a price comes without its currency, and that of a listing does not change."""

    def latest(self, assets: Sequence[AssetRef], quote: str) -> Outcome[Sequence[Quoted]]:
        found = []
        for asset in assets:
            symbol = _symbol(asset)
            if symbol is None or self._currency(symbol) != quote:
                continue
            said = self._get("/quote", symbol=symbol)
            # Zero at no time is how it says that it has none.
            if whole(said["t"]):
                found.append(
                    Quoted(
                        asset=asset.id,
                        quote=quote,
                        price=number(said["c"]),
                        at=instant(said["t"]),
                    )
                )
        return Ok(found)

    def history(
        self, asset: AssetRef, quote: str, since: date, until: date
    ) -> Outcome[Sequence[Day]]:
        symbol = _symbol(asset)
        if symbol is None:
            return Missing()
        if self._currency(symbol) != quote:
            return Unsupported()
        begin, end = (
            int(datetime.combine(each, time(), UTC).timestamp()) for each in (since, until)
        )
        said = self._get(
            "/stock/candle",
            symbol=symbol,
            resolution="D",
            **{"from": str(begin), "to": str(end + _DAY_S - 1)},
        )
        if said["s"] == "no_data":
            return Ok([])
        if said["s"] != "ok":
            raise ValueError("neither ok nor no_data")
        days = {
            instant(at).date(): number(close)
            for at, close in zip(said["t"], said["c"], strict=True)
        }
        return Ok(
            [Day(on_date=day, price=days[day]) for day in sorted(days) if since <= day <= until]
        )

    def find(self, text: str) -> Outcome[Sequence[Identified]]:
        return Ok(
            [
                Identified(
                    name=str(each["symbol"]),
                    symbol=str(each["displaySymbol"]),
                    title=str(each["description"]),
                    kind="security",
                )
                for each in self._get("/search", q=text)["result"]
            ]
        )

    def _currency(self, symbol: str) -> str | None:
        if symbol not in self._currencies:
            said = self._get("/stock/profile2", symbol=symbol).get("currency")
            if not isinstance(said, str):
                return None
            self._currencies[symbol] = said
        return self._currencies[symbol]

    def _get(self, path: str, **query: str) -> dict[str, Any]:
        headers = {"X-Finnhub-Token": self.access.credentials["key"]}
        said = self.access.http.get(f"/api/v1{path}", headers, **query).json()
        if not isinstance(said, dict):
            raise TypeError("no object")
        return said


def _symbol(asset: AssetRef) -> str | None:
    if "finnhub" in asset.names:
        return asset.names["finnhub"]
    return asset.id.removeprefix("ticker:") if asset.id.startswith("ticker:") else None
