"""What people do with rates: import them, look them up, convert."""

from datetime import date
from typing import BinaryIO

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.page import DEFAULT_LIMIT, Page, checked_limit
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried
from finora_core.market.rates.ecb import SOURCE, read_ecb
from finora_core.market.rates.model import ImportedRates, Rate, RatesImported, Sum
from finora_core.market.rates.ports import RatesWork


@attrs.frozen
class RateService:
    begin: Begin[RatesWork]

    @retried
    def import_ecb(self, scope: Scope, file: BinaryIO) -> ImportedRates:
        """The central bank's file: all of it or nothing. What is there already stays as it is.
        Raises BadRates."""
        file.seek(0)
        with self.begin(scope) as work:
            result = work.rates.add(SOURCE, read_ecb(file))
            if result.added or result.corrected:
                work.events.record(RatesImported(SOURCE, result.added, result.corrected))
            return work.done(result)

    def list(
        self,
        scope: Scope,
        *,
        base: str | None = None,
        quote: str | None = None,
        since: date | None = None,
        until: date | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Rate]:
        """Facts, latest day first."""
        with self.begin(scope) as work:
            return work.rates.list(base, quote, since, until, cursor, checked_limit(limit))

    def convert(self, scope: Scope, amount: Amount, to: str, on: date) -> Sum:
        """The amount in another asset at a day's rate. Where none is known, or only an old one,
        `missing` says so and the total is no answer."""
        with self.begin(scope) as work:
            target = work.assets.get(to)
            table = work.rates.table([amount.asset.id], target.id, [on])
            return table.sum((amount,), target, on)
