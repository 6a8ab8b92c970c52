"""Assets: what is counted. EUR, BTC, an ERC-20, loyalty points, a vault's share."""

import re

import attrs

from finora_core.kernel.currencies import DIGITS
from finora_core.kernel.errors import Invalid

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9:/._-]{0,199}", re.ASCII)

MAX_SCALE = 36


class UnknownAsset(Invalid):
    """No asset with this id is known, so its scale is not known either."""

    code = "UNKNOWN_ASSET"


class BadAsset(Invalid):
    """The asset's id or scale breaks the rules for assets."""

    code = "BAD_ASSET"


@attrs.frozen
class Asset:
    """`id` is text (`EUR`, `isin:IE00B4L5Y983`, `eip155:1/slip44:60`); `scale` (0 to 36) is how
    many decimal digits one whole has. Both are for ever: another scale is another asset."""

    id: str
    scale: int

    def __attrs_post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise BadAsset(f"{self.id!r} is not an asset id")
        if type(self.scale) is not int or not 0 <= self.scale <= MAX_SCALE:
            raise BadAsset(f"scale {self.scale} of {self.id} is not between 0 and {MAX_SCALE}")

    def __str__(self) -> str:
        return self.id


def currency(code: str) -> Asset:
    """The ISO 4217 currency with this code, with its right number of digits."""
    found = _CURRENCIES.get(code)
    if found is None:
        raise UnknownAsset(f"{code!r} is not an ISO 4217 currency code")
    return found


_CURRENCIES = {code: Asset(code, digits) for code, digits in DIGITS.items()}
CURRENCIES: tuple[Asset, ...] = tuple(_CURRENCIES.values())
