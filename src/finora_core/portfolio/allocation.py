"""How the value of a portfolio is spread: of what has a price, and beside it what has none."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from fractions import Fraction

import attrs

from finora_core.kernel.amount import Amount
from finora_core.market.assets.model import AssetKind, Identity, segment_of
from finora_core.portfolio.model import is_currency
from finora_core.portfolio.valuation import HoldingValue, Valuation, told

_KINDS = {"isin": AssetKind.SECURITY, "ticker": AssetKind.SECURITY, "crypto": AssetKind.CRYPTO}


class Spread(StrEnum):
    ASSET = "asset"
    TYPE = "type"
    ACCOUNT = "account"
    INSTITUTION = "institution"


@attrs.frozen
class Part:
    """The counted holdings of one asset, type, account or institution."""

    key: str
    name: str
    whole: Valuation
    holdings: Sequence[HoldingValue]

    @property
    def exact(self) -> Fraction:
        return sum((each.exact_value or Fraction(0) for each in self.holdings), Fraction(0))

    @property
    def value(self) -> Amount | None:
        """Of what has a price; None where nothing has."""
        known = any(each.value is not None for each in self.holdings)
        base = self.whole.base
        return Amount(round(self.exact * 10**base.scale), base) if known else None

    @property
    def share_bp(self) -> int | None:
        """Of the value that is known, in basis points; below zero for what is owed. None where
        nothing is known of it, or where more is owed than there is."""
        total = self.whole.exact_total
        known = self.value is not None and total > 0
        return round(self.exact * 10_000 / total) if known else None

    @property
    def unpriced(self) -> Sequence[HoldingValue]:
        """What has no price: it is in no share."""
        return [each for each in self.holdings if each.value is None]

    @property
    def gap(self) -> str | None:
        return told(self.holdings)


@attrs.frozen
class Allocation:
    by: Spread
    of: Valuation
    parts: Sequence[Part]
    """Largest first; after them those of which nothing is known."""


def allocation(
    found: Valuation, by: Spread, identities: Mapping[str, Identity], names: Mapping[str, str]
) -> Allocation:
    """Of what counts in the total. `names` are those of things of one's own."""
    key = _key(by, identities, names)
    parts: dict[tuple[str, str], list[HoldingValue]] = {}
    for each in found.counted:
        parts.setdefault(key(each), []).append(each)
    made = [Part(*part, found, holdings) for part, holdings in parts.items()]
    made.sort(key=lambda each: (each.value is None, -each.exact, each.name, each.key))
    return Allocation(by, found, made)


def kind_of(asset_id: str, identity: Identity | None = None) -> AssetKind:
    """As whoever identified it said, else as its id says."""
    if is_currency(asset_id):
        return AssetKind.CURRENCY
    if identity is not None:
        return identity.kind
    kind, mark, _ = asset_id.partition(":")
    if mark and segment_of(asset_id) and kind not in _KINDS:
        return AssetKind.CRYPTO
    return _KINDS.get(kind, AssetKind.OTHER)


def _key(
    by: Spread, identities: Mapping[str, Identity], names: Mapping[str, str]
) -> Callable[[HoldingValue], tuple[str, str]]:
    """Key and name of the part that a holding is of."""

    def of_asset(each: HoldingValue) -> tuple[str, str]:
        asset = each.quantity.asset.id
        return asset, names.get(asset) or asset.partition(":")[2] or asset

    def of_type(each: HoldingValue) -> tuple[str, str]:
        asset = each.quantity.asset.id
        kind = kind_of(asset, identities.get(asset)).value
        return kind, kind

    return {
        Spread.ASSET: of_asset,
        Spread.TYPE: of_type,
        Spread.ACCOUNT: lambda each: (str(each.account.id), each.account.ledger_name),
        Spread.INSTITUTION: lambda each: (
            each.account.institution.id,
            each.account.institution.name,
        ),
    }[by]
