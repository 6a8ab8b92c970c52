"""Balances of TON, from a public or an own server that speaks as toncenter does."""

from collections.abc import Sequence
from typing import ClassVar

import attrs

from finora_adapters.upstream.providers.chains import address_on
from finora_adapters.upstream.providers.numbers import units, whole
from finora_core.kernel.outcome import Ok, Outcome
from finora_core.plugins import Access, Held

_SCALE = 9


@attrs.frozen
class Ton:
    """The coin alone: each token is a contract of its own for each holder."""

    access: Access
    name: ClassVar[str] = "ton"

    def balances(self, account: str) -> Outcome[Sequence[Held]]:
        address = address_on("ton", account)
        said = self.access.http.get("/api/v2/getAddressBalance", address=address).json()
        if said["ok"] is not True:
            raise TypeError("not ok")
        count = whole(said["result"])
        return Ok([Held(name="TON", symbol="TON", quantity=units(count, _SCALE), scale=_SCALE)])
