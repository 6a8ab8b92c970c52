"""The European Central Bank: euro reference rates, from its data service, as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import date
from typing import ClassVar

import attrs

from finora_adapters.upstream.providers.numbers import number
from finora_core.kernel.outcome import Missing, Ok, Outcome, Unsupported
from finora_core.plugins import Access, Day, NoAnswer


@attrs.frozen
class Ecb:
    access: Access
    name: ClassVar[str] = "ecb"

    def rates(
        self, base: str, quotes: Sequence[str], since: date, until: date
    ) -> Outcome[Mapping[str, Sequence[Day]]]:
        if base != "EUR":
            return Unsupported()
        try:
            reply = self.access.http.get(
                f"/service/data/EXR/D.{'+'.join(quotes)}.EUR.SP00.A",
                {"Accept": "text/csv"},
                startPeriod=str(since),
                endPeriod=str(until),
                detail="dataonly",
                format="csvdata",
            )
        except NoAnswer as said:
            # So it answers where no day of the span has a fixing.
            if isinstance(said.outcome, Missing):
                return Ok({})
            raise
        if not reply.body:
            return Ok({})
        rows = csv.DictReader(io.StringIO(reply.body.decode("utf-8-sig")))
        found: dict[str, dict[date, Day]] = {}
        for row in rows:
            if row["CURRENCY_DENOM"] != "EUR" or row["FREQ"] != "D":
                raise ValueError("another series")
            # A day on which it fixed nothing has an empty or no number.
            if row["CURRENCY"] in quotes and row["OBS_VALUE"] not in ("", "NaN"):
                day = date.fromisoformat(row["TIME_PERIOD"])
                found.setdefault(row["CURRENCY"], {})[day] = Day(
                    on_date=day, price=number(row["OBS_VALUE"])
                )
        return Ok({quote: [days[day] for day in sorted(days)] for quote, days in found.items()})
