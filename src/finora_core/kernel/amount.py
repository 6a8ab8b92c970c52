"""Amounts: whole units of one asset. No float, no rounding that is not asked for."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TypeVar

import attrs

from finora_core.kernel.asset import Asset
from finora_core.kernel.errors import Invalid

# The bound of the database's money_units; 2**256 - 1 fits with room.
MAX_UNITS = 10**78 - 1

_TEXT = re.compile(r"(-?)(0|[1-9][0-9]{0,77})(?:\.([0-9]{1,78}))?", re.ASCII)

Share = TypeVar("Share")


class BadAmount(Invalid):
    """The text is not an amount of the asset: not a plain decimal, too fine, or too large."""

    code = "BAD_AMOUNT"


class AssetMismatch(Invalid):
    """Arithmetic between two assets was asked for."""

    code = "ASSET_MISMATCH"


def units_of(text: str, scale: int) -> int:
    """The one gate from text to money: `"-12.34"` at scale 2 is -1234.

    Takes an optional minus, digits without leading zeros, and an optional fraction. Trailing zeros
    past the scale are read as what they are: nothing. Raises BadAmount for everything else
    (NaN, exponents, `1_000`, other scripts' digits, a finer fraction, more than 78 digits).
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise BadAmount(f"{text[:40]!r} is not a decimal amount")
    sign, whole, fraction = match[1], match[2], match[3] or ""
    if len(fraction) > scale:
        if fraction[scale:].strip("0"):
            raise BadAmount(f"{text[:40]!r} has more than {scale} decimal places")
        fraction = fraction[:scale]
    units = int(whole + fraction.ljust(scale, "0"))
    if units > MAX_UNITS:
        raise BadAmount(f"{text[:40]!r} is larger than the ledger can hold")
    return -units if sign else units


def text_of(units: int, scale: int) -> str:
    """The decimal text of `units`, always with `scale` places: 5 at scale 2 is `"0.05"`."""
    if scale == 0:
        return str(units)
    digits = str(abs(units)).rjust(scale + 1, "0")
    return f"{'-' if units < 0 else ''}{digits[:-scale]}.{digits[-scale:]}"


@attrs.frozen
class Amount:
    """`units` whole units of `asset`; its decimal value is units / 10**asset.scale."""

    units: int
    asset: Asset

    def __attrs_post_init__(self) -> None:
        # bool is an int, and a float that happens to be whole is still a float.
        if type(self.units) is not int:
            raise BadAmount(f"units must be a whole number, not {type(self.units).__name__}")

    @classmethod
    def parse(cls, text: str, asset: Asset) -> "Amount":
        """Read a plain decimal (`"12.34"`); raises BadAmount, see units_of."""
        return cls(units_of(text, asset.scale), asset)

    @property
    def text(self) -> str:
        """The decimal text in the asset's scale, as it travels in JSON."""
        return text_of(self.units, self.asset.scale)

    @property
    def decimal(self) -> Decimal:
        """The exact decimal value, for display and rates at the edges."""
        return Decimal(self.text)

    def __str__(self) -> str:
        return f"{self.text} {self.asset.id}"

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.units + self._same(other), self.asset)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(self.units - self._same(other), self.asset)

    def __neg__(self) -> "Amount":
        return Amount(-self.units, self.asset)

    def __abs__(self) -> "Amount":
        return Amount(abs(self.units), self.asset)

    def __lt__(self, other: "Amount") -> bool:
        return self.units < self._same(other)

    def __le__(self, other: "Amount") -> bool:
        return self.units <= self._same(other)

    def __bool__(self) -> bool:
        return self.units != 0

    def _same(self, other: "Amount") -> int:
        if other.asset != self.asset:
            raise AssetMismatch(f"{self.asset} and {other.asset} do not add up")
        return other.units

    def split(self, weights: Mapping[Share, int]) -> dict[Share, "Amount"]:
        """Split so that the parts sum to the whole: see `allocate`."""
        parts = allocate(self.units, weights)
        return {key: Amount(units, self.asset) for key, units in parts.items()}


def allocate(total: int, weights: Mapping[Share, int]) -> dict[Share, int]:
    """Split `total` units in proportion to whole, non-negative weights; nothing is lost.

    Largest remainder (Hamilton's method): every share is the exact share rounded down or up, the
    leftover units go to the largest remainders, ties by the key's text. The result does not depend
    on the order of the weights, and allocate(-t, w) is the negative of allocate(t, w). Raises
    BadAmount where a weight is negative or not whole, or all are zero.
    """
    if any(type(weight) is not int or weight < 0 for weight in weights.values()):
        raise BadAmount("weights must be whole and not negative")
    whole = sum(weights.values())
    if not whole:
        raise BadAmount("weights must not all be zero")
    sign = -1 if total < 0 else 1
    parts = {key: divmod(abs(total) * weight, whole) for key, weight in weights.items()}
    left = abs(total) - sum(share for share, _ in parts.values())
    ranked = sorted(parts, key=lambda key: (-parts[key][1], str(key)))
    extra = set(ranked[:left])
    return {key: sign * (share + (key in extra)) for key, (share, _) in parts.items()}


def total(amounts: Iterable[Amount]) -> dict[Asset, Amount]:
    """Sums per asset; there is no sum across assets."""
    sums: dict[Asset, Amount] = {}
    for amount in amounts:
        sums[amount.asset] = sums.get(amount.asset, Amount(0, amount.asset)) + amount
    return sums
