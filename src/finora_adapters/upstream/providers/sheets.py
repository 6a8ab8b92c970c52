"""Prices that somebody keeps in a Google sheet, one a row: token, price, currency."""

from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import quote as quoted

import attrs

from finora_adapters.upstream.providers.numbers import number
from finora_core.kernel.outcome import Ok, Outcome
from finora_core.plugins import Access, AssetRef, Quoted


@attrs.frozen
class Sheets:
    access: Access
    name: ClassVar[str] = "sheets"

    def latest(self, assets: Sequence[AssetRef], quote: str) -> Outcome[Sequence[Quoted]]:
        given = self.access.credentials
        sheet, cells = (
            quoted(each, safe="") for each in (given["sheet"], given.get("range", "A:C"))
        )
        said = self.access.http.get(
            f"/v4/spreadsheets/{sheet}/values/{cells}",
            {"X-Goog-Api-Key": given["key"]},
            # Numbers as they are, and not as the sheet shows them.
            valueRenderOption="UNFORMATTED_VALUE",
        ).json()
        wanted = {each.names.get("sheets", each.symbol).casefold(): each for each in assets}
        found: dict[str, Quoted] = {}
        for row in said.get("values", []):
            # A head, an empty line and a note are none; the first of two rows counts.
            if len(row) < 3 or not all(isinstance(row[place], str) for place in (0, 2)):
                continue
            asset = wanted.get(row[0].strip().casefold())
            if asset is None or row[2].strip().upper() != quote or isinstance(row[1], str):
                continue
            price = number(row[1])
            found.setdefault(
                asset.id,
                Quoted(asset=asset.id, quote=quote, price=price, at=self.access.now()),
            )
        return Ok(list(found.values()))
