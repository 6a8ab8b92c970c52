"""The conformance kit: one class, and a provider is tested against all that servers do.

    class TestMine(PricesSuite):
        provider = Mine

Its recordings are in `recordings.json` beside the provider's module, with the questions that they
answer; see docs/providers.md. Nothing is asked over the network.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from finora_core.plugins import Provider, StorageAccess
from finora_core.testing.chains import CHAIN_CHECKS, OnChain
from finora_core.testing.checks import CHECKS, NOW, Check, Subject, Tier, failures, tier_of
from finora_core.testing.recordings import Ask, Exchange, read_asks, read_exchanges
from finora_core.testing.stores import STORAGE_CHECKS, Store

__all__ = [
    "Ask",
    "AssetsSuite",
    "BalancesSuite",
    "ChainsSuite",
    "Exchange",
    "MailersSuite",
    "NotifiersSuite",
    "PicturesSuite",
    "PricesSuite",
    "RatesSuite",
    "StoragesSuite",
    "Store",
    "Subject",
    "Tier",
    "TransactionsSuite",
    "failures",
    "tier_of",
]

RECORDINGS = "recordings.json"


def _test(check: Check) -> Callable[["Kit"], None]:
    def test(self: "Kit") -> None:
        # What is above the tier that is wanted may fail.
        if check.tier <= self.least:
            check.run(self.subject())

    test.__doc__ = check.run.__doc__
    return test


class Kit:
    """Each check is one test of the class that inherits it."""

    kind: ClassVar[str]
    provider: ClassVar[Any]
    checks: ClassVar[Sequence[Check]] = CHECKS
    least: ClassVar[Tier] = Tier.SILVER
    """What it must reach."""

    def __init_subclass__(cls) -> None:
        for check in cls.checks:
            setattr(cls, f"test_{check.name}", _test(check))

    @classmethod
    def subject(cls) -> Any:
        """What every check is given, made anew."""
        raise NotImplementedError

    def test_tier(self) -> None:
        """Computed, and not claimed; pytest shows it with -rP."""
        failed = failures(self.subject(), self.checks)
        reached = tier_of(failed)
        print(f"{self.provider.name} of {self.kind}: {reached.name.lower()}")
        missed = {name: said for name, (_, said) in failed.items()}
        assert reached >= self.least, f"it is {reached.name.lower()}: {missed}"


class Suite(Kit):
    """What is tested by what its source answered once."""

    recordings: ClassVar[Path | Sequence[Path] | None] = None
    """`recordings.json` beside the provider's module, if it is not said."""
    exchanges: ClassVar[Sequence[Exchange]] = ()
    """More of them, made by hand."""
    asks: ClassVar[Sequence[Ask]] = ()
    """Those of the recordings' own file, if there are none."""
    now: ClassVar[datetime] = NOW

    @classmethod
    def subject(cls) -> Subject:
        paths = () if cls.recordings is None and cls.exchanges else cls.recordings
        return subject_of(cls.kind, cls.provider, paths, cls.asks, cls.now, cls.exchanges)


def subject_of(
    kind: str,
    provider: Provider,
    recordings: Path | Sequence[Path] | None = None,
    asks: Sequence[Ask] = (),
    now: datetime = NOW,
    exchanges: Sequence[Exchange] = (),
) -> Subject:
    bare = Subject(kind=kind, provider=provider, exchanges=(), asks=(), now=now)
    paths = [bare.source.parent / RECORDINGS] if recordings is None else recordings
    paths = [paths] if isinstance(paths, Path) else paths
    return Subject(
        kind=kind,
        provider=provider,
        exchanges=(*exchanges, *(each for path in paths for each in read_exchanges(path))),
        asks=tuple(asks) or tuple(each for path in paths for each in _of_kind(kind, path)),
        now=now,
    )


def _of_kind(kind: str, path: Path) -> Sequence[Ask]:
    from finora_core.answers import KIND_OF

    return [each for each in read_asks(path) if KIND_OF.get(each.method) == kind]


class PricesSuite(Suite):
    kind = "prices"


class RatesSuite(Suite):
    kind = "rates"


class AssetsSuite(Suite):
    kind = "assets"


class BalancesSuite(Suite):
    kind = "balances"


class TransactionsSuite(Suite):
    kind = "transactions"


class PicturesSuite(Suite):
    kind = "pictures"


class MailersSuite(Suite):
    kind = "mailers"


class NotifiersSuite(Suite):
    kind = "notifiers"


class ChainsSuite(Kit):
    """What a chain is tested by: `provider` is the Chain itself."""

    kind = "chains"
    checks = CHAIN_CHECKS
    addresses: ClassVar[Sequence[str]]
    """Some on it, of every form that there is."""

    @classmethod
    def subject(cls) -> OnChain:
        return OnChain(cls.provider, cls.addresses)


class StoragesSuite(Kit):
    """What a store of files is tested by: nothing of it is recorded, so it needs a store to try, a
    folder or a server of the test's own."""

    kind = "storages"
    checks = STORAGE_CHECKS

    @classmethod
    def access(cls) -> StorageAccess:
        """Of an empty store, another one each time."""
        raise NotImplementedError("say what the store is given")

    @classmethod
    def subject(cls) -> Store:
        return Store(provider=cls.provider, access=cls.access())
