"""Balances of Tron, from a public or an own server that speaks as TronGrid does."""

from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import quote as quoted

import attrs

from finora_adapters.upstream.providers.chains import address_on
from finora_adapters.upstream.providers.numbers import units, whole
from finora_core.kernel.outcome import Ok, Outcome
from finora_core.plugins import Access, Held

_SCALE = 6


@attrs.frozen
class Tron:
    """The coin alone: of a token the server tells the contract and a number, and not its scale."""

    access: Access
    name: ClassVar[str] = "tron"

    def balances(self, account: str) -> Outcome[Sequence[Held]]:
        """What can be spent, what is staked, and what is on its way back from there."""
        address = quoted(address_on("tron", account), safe="")
        said = self.access.http.get(f"/v1/accounts/{address}").json()
        if said["success"] is not True:
            raise TypeError("no success")
        count = 0
        # An account that never received anything is not listed, and a number that is 0 not told.
        for found in said["data"]:
            count += whole(found.get("balance", 0))
            count += sum(whole(each.get("amount", 0)) for each in found.get("frozenV2", []))
            count += sum(whole(each["unfreeze_amount"]) for each in found.get("unfrozenV2", []))
        return Ok([Held(name="TRX", symbol="TRX", quantity=units(count, _SCALE), scale=_SCALE)])
