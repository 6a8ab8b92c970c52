"""Prices of metals, for Finora."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import attrs

from finora_core.kernel.outcome import Ok, Outcome
from finora_core.plugins import Access, AssetRef, Day, Provider, Quoted, hookimpl


@attrs.frozen
class Prices:
    access: Access
    name = "metals"

    def latest(self, assets: Sequence[AssetRef], quote: str) -> Outcome[Sequence[Quoted]]:
        ids = {each.symbol: each.id for each in assets}
        rows = self._get("/latest", symbols=",".join(ids), quote=quote)["prices"]
        return Ok(
            [
                Quoted(
                    asset=ids[row["symbol"]],
                    quote=quote,
                    price=Decimal(row["price"]),
                    at=datetime.fromisoformat(row["at"]),
                )
                for row in rows
                if row["symbol"] in ids
            ]
        )

    def history(
        self, asset: AssetRef, quote: str, since: date, until: date
    ) -> Outcome[Sequence[Day]]:
        days = self._get(f"/history/{asset.symbol}", quote=quote, first=str(since), last=str(until))
        found = [(date.fromisoformat(row["day"]), Decimal(row["close"])) for row in days["days"]]
        return Ok([Day(on_date=day, price=price) for day, price in found if since <= day <= until])

    def _get(self, path: str, **query: str) -> Any:
        key = {"X-Key": self.access.credentials["key"]}
        return self.access.http.get(path, key, **query).json()


@hookimpl
def register_prices(register: Callable[[Provider], None]) -> None:
    register(Prices)
