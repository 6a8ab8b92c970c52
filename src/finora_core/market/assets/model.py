"""Who an asset is, what each namespace calls it, and what is thought of it."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

import attrs

from finora_core.kernel.asset import Asset
from finora_core.kernel.currencies import DIGITS
from finora_core.kernel.errors import Conflict, Invalid, NotFound
from finora_core.kernel.events import Plain

SCAM = 3_500
"""From so many ten thousandths on an asset is left out of totals."""
SCALES = {"isin": 8, "ticker": 8, "crypto": 18}
"""Of assets that are known by the name which the world gives them, by what kind of name."""


def world_asset(asset_id: str) -> Asset | None:
    """The asset that this name is enough for; None where its scale must be told."""
    scale = SCALES.get(asset_id.partition(":")[0])
    return None if scale is None else Asset(asset_id, scale)


class NoIdentity(NotFound):
    """Nobody said who this asset is."""

    code = "ASSET_NOT_IDENTIFIED"


class SymbolTaken(Conflict):
    """Another asset has this symbol in this segment of its market."""

    code = "SYMBOL_TAKEN"


class BadIdentity(Invalid):
    """A symbol has 1 to 64 characters without spaces, a title and a segment at most 200, a name in
    a namespace 1 to 200, and a scam probability is between 0 and 1 with at most four digits."""

    code = "BAD_IDENTITY"


class AssetKind(StrEnum):
    CURRENCY = "currency"
    CRYPTO = "crypto"
    SECURITY = "security"
    OTHER = "other"


_NAMESPACE = re.compile(r"[a-z][a-z0-9._-]{0,63}", re.ASCII)
_CHAIN = re.compile(r"([a-z0-9-]{3,8}:[A-Za-z0-9_-]{1,32})/.+", re.ASCII)
_EXCHANGE = re.compile(r"ticker:[^.]+\.(.+)", re.ASCII)

# What looks like what, beyond what Unicode itself says to be the same: Cyrillic, Greek and other
# letters, and digits, that people are deceived with. A capital may look like another letter than
# its small one does.
_CAPITALS = str.maketrans(
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0408\u0405\u04c0"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u054d\u13a0",
    "ABEKMHOPCTYXIJSIABEZHIKMNOPTYXUD",
)
_SMALL = str.maketrans(
    "\u0430\u0441\u0501\u0435\u04bb\u0456\u0458\u043e\u0440\u051b\u0455\u051d\u0445\u0443\u03bf\u03bd\u03c1"
    "\u03b1\u03b9\u03ba\u03c5\u0131\u0142\u00f8\u0251\u0261\u0578\u057d01l|$543",
    "acdehijopqswxyovpaikuiioagnuoiiissae",
)


def skeleton(symbol: str) -> str:
    """The symbol as the eye sees it: two that look alike have the same."""
    wide = unicodedata.normalize("NFKC", symbol).translate(_CAPITALS).casefold()
    # Accents, and what is not seen at all.
    seen = (
        each
        for each in unicodedata.normalize("NFKD", wide)
        if unicodedata.category(each) not in ("Mn", "Me", "Cf", "Cc", "Zs")
    )
    return "".join(seen).translate(_SMALL).replace("rn", "m").replace("vv", "w")


_CURRENCIES = {skeleton(code): code for code in DIGITS}


def segment_of(asset: str) -> str:
    """The chain or the exchange that an asset's id says it is of."""
    found = _CHAIN.fullmatch(asset) or _EXCHANGE.fullmatch(asset)
    return found[1] if found else ""


@attrs.frozen(kw_only=True)
class Identity:
    """An asset as people know it. Symbol, kind and segment are for good, and no other's."""

    asset: str
    symbol: str
    kind: AssetKind
    segment: str = ""
    """The exchange or chain: empty where there is one for the whole world."""
    title: str = ""
    names: Mapping[str, str] = attrs.field(factory=dict)
    """What each namespace calls it. Who says it first is right."""
    scam: int | None = None
    """In ten thousandths; None where nobody said."""
    lookalike: str | None = None
    """The known asset whose symbol it looks like, and which it is not."""
    judged_at: datetime | None = None

    def __attrs_post_init__(self) -> None:
        if not 1 <= len(self.symbol) <= 64 or re.search(r"\s|[\x00-\x1f]", self.symbol):
            raise BadIdentity(f"{self.symbol[:40]!r} is no symbol")
        if len(self.title) > 200 or len(self.segment) > 200 or "\0" in self.title + self.segment:
            raise BadIdentity("a title and a segment have at most 200 characters")
        for namespace, name in self.names.items():
            if not _NAMESPACE.fullmatch(namespace) or not 1 <= len(name) <= 200 or "\0" in name:
                raise BadIdentity(f"{name[:40]!r} is no name in {namespace[:40]!r}")
        if self.scam is not None and not 0 <= self.scam <= 10_000:
            raise BadIdentity("a probability is between 0 and 1")

    @property
    def skeleton(self) -> str:
        return skeleton(self.symbol)

    @property
    def quarantined(self) -> bool:
        return self.lookalike is not None

    @property
    def counts(self) -> bool:
        """Whether it is in totals: the same rule in every figure."""
        return not self.quarantined and (self.scam is None or self.scam < SCAM)


def pretended(new: Identity, alike: Iterable[Identity]) -> str | None:
    """The known asset that `new` looks like and is not. Known is a currency, and what a source has
    a name of; a symbol of plain letters that a source has a name of is nobody's imitation, as one
    coin is on many chains. Tickers of companies may read as a coin's symbol."""
    if new.kind not in (AssetKind.CRYPTO, AssetKind.OTHER):
        return None
    if new.names and new.symbol.isascii() and new.symbol.isalpha():
        return None
    known = sorted(
        each.asset
        for each in alike
        if each.asset != new.asset
        and each.names
        and each.lookalike is None
        and each.kind in (AssetKind.CRYPTO, AssetKind.CURRENCY, AssetKind.OTHER)
    )
    return known[0] if known else _CURRENCIES.get(new.skeleton)


@attrs.frozen(kw_only=True)
class Judged:
    """An asset was looked at, and this is thought of it."""

    type: ClassVar[str] = "asset.judged"

    asset: str
    scam: int | None
    lookalike: str | None

    def payload(self) -> Mapping[str, Plain]:
        return {"asset": self.asset, "scam": self.scam, "lookalike": self.lookalike}


@attrs.frozen
class Identified:
    type: ClassVar[str] = "asset.identified"

    asset: str

    def payload(self) -> Mapping[str, Plain]:
        return {"asset": self.asset}
