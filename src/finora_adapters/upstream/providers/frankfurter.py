"""Frankfurter: reference rates of central banks, between any two currencies, without a key."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import ClassVar

import attrs

from finora_adapters.upstream.providers.numbers import number
from finora_core.kernel.outcome import Ok, Outcome
from finora_core.plugins import Access, Day


@attrs.frozen
class Frankfurter:
    access: Access
    name: ClassVar[str] = "frankfurter"

    def rates(
        self, base: str, quotes: Sequence[str], since: date, until: date
    ) -> Outcome[Mapping[str, Sequence[Day]]]:
        said = self.access.http.get(
            f"/v1/{since}..{until}", base=base, symbols=",".join(quotes)
        ).json()
        if said["base"] != base:
            raise ValueError("another base")
        found: dict[str, list[Day]] = {}
        for day, rates in sorted(said["rates"].items()):
            on_date = date.fromisoformat(day)
            for quote in quotes:
                # A span that begins on a holiday is answered from the fixing before it.
                if quote in rates and since <= on_date <= until:
                    found.setdefault(quote, []).append(
                        Day(on_date=on_date, price=number(rates[quote]))
                    )
        return Ok(found)
