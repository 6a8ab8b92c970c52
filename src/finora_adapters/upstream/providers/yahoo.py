"""Charts and searches as Yahoo Finance shapes them: shares and funds of most exchanges."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import quote as quoted

import attrs

from finora_adapters.upstream.providers.numbers import instant, number, whole
from finora_core.kernel.outcome import Missing, Ok, Outcome, Unsupported
from finora_core.plugins import Access, AssetRef, Day, Identified, NoAnswer, Quoted

_CENTS = {"GBp": "GBP", "GBX": "GBP", "ZAc": "ZAR", "ILA": "ILS"}
"""Hundredths that some exchanges trade in."""
_KINDS = {"EQUITY": "security", "ETF": "security", "MUTUALFUND": "security", "INDEX": "other",
          "CRYPTOCURRENCY": "crypto", "CURRENCY": "currency"}  # fmt: skip


@attrs.frozen
class Yahoo:
    access: Access
    name: ClassVar[str] = "yahoo"

    def latest(self, assets: Sequence[AssetRef], quote: str) -> Outcome[Sequence[Quoted]]:
        found = []
        for asset in assets:
            symbol = _symbol(asset)
            chart = None if symbol is None else self._chart(symbol, interval="1d", range="1d")
            if chart is None or _currency(chart) != quote:
                continue
            meta = chart["meta"]
            found.append(
                Quoted(
                    asset=asset.id,
                    quote=quote,
                    price=_price(chart, meta["regularMarketPrice"]),
                    at=instant(meta["regularMarketTime"]),
                )
            )
        return Ok(found)

    def history(
        self, asset: AssetRef, quote: str, since: date, until: date
    ) -> Outcome[Sequence[Day]]:
        symbol = _symbol(asset)
        if symbol is None:
            return Missing()
        # A day more at each end: days are the exchange's.
        begin, end = (
            int(datetime.combine(each, time(), UTC).timestamp())
            for each in (since - timedelta(days=1), until + timedelta(days=2))
        )
        chart = self._chart(symbol, interval="1d", period1=str(begin), period2=str(end))
        if chart is None:
            return Missing()
        if _currency(chart) != quote:
            return Unsupported()
        offset = timedelta(seconds=whole(chart["meta"]["gmtoffset"]))
        closes = chart["indicators"]["quote"][0].get("close", [])
        days = {
            (instant(at) + offset).date(): _price(chart, close)
            for at, close in zip(chart.get("timestamp", []), closes, strict=True)
            if close is not None
        }
        return Ok(
            [Day(on_date=day, price=days[day]) for day in sorted(days) if since <= day <= until]
        )

    def find(self, text: str) -> Outcome[Sequence[Identified]]:
        said = self.access.http.get("/v1/finance/search", q=text).json()
        return Ok(
            [
                Identified(
                    name=str(each["symbol"]),
                    symbol=str(each["symbol"]),
                    title=str(each.get("longname") or each.get("shortname") or each["symbol"]),
                    kind=_KINDS.get(str(each.get("quoteType")), "other"),  # type: ignore[arg-type]  # of its literals
                )
                for each in said["quotes"]
                if each.get("isYahooFinance", True)
            ]
        )

    def _chart(self, symbol: str, **query: str) -> dict[str, Any] | None:
        try:
            path = f"/v8/finance/chart/{quoted(symbol, safe='')}"
            result = self.access.http.get(path, None, **query).json()["chart"]["result"]
        except NoAnswer as said:
            # It answers 404 for a symbol that it does not know.
            if isinstance(said.outcome, Missing):
                return None
            raise
        if not isinstance(result, list):
            raise TypeError("no chart")
        return result[0] if result else None


def _symbol(asset: AssetRef) -> str | None:
    if "yahoo" in asset.names:
        return asset.names["yahoo"]
    return asset.id.removeprefix("ticker:") if asset.id.startswith("ticker:") else None


def _currency(chart: dict[str, Any]) -> str:
    said = str(chart["meta"]["currency"])
    return _CENTS.get(said, said)


def _price(chart: dict[str, Any], said: Any) -> Decimal:
    price = number(said)
    if chart["meta"]["currency"] not in _CENTS:
        return price
    sign, digits, exponent = price.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError("no number")
    return Decimal((sign, digits, exponent - 2))
