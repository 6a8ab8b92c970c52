"""What identities need of a transaction."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from finora_core.kernel.asset import Asset
from finora_core.kernel.page import Page
from finora_core.kernel.work import Work
from finora_core.market.assets.model import Identity


class Identities(Protocol):
    def add(self, identity: Identity) -> None:
        """Keep it and its names; what was said before stays. Waits for another that adds. Raises
        SymbolTaken."""

    def judge(self, asset: str, source: str, scam: int | None, lookalike: str | None) -> None:
        """Keep what is thought of it, from now on."""

    def find(self, asset: str) -> Identity | None: ...

    def of(self, assets: Collection[str]) -> Mapping[str, Identity]:
        """Those that were identified."""

    def named(self, namespace: str, name: str) -> Identity | None: ...

    def alike(self, skeleton: str) -> Sequence[Identity]:
        """Whose symbols look like it."""

    def stale(self, before: datetime, limit: int) -> Sequence[Identity]:
        """Those last looked at before then, longest ago first."""

    def search(self, words: str, cursor: str | None, limit: int) -> Page[Identity]:
        """By symbol, name in a namespace, id or part of the title: the symbol itself first, what
        pretends last."""


class AssetsOfWork(Protocol):
    def get(self, asset_id: str) -> Asset:
        """Raises UnknownAsset."""

    def add(self, asset: Asset) -> None:
        """Raises AssetExists where its scale is another."""


class IdentitiesWork(Work, Protocol):
    @property
    def identities(self) -> Identities: ...
    @property
    def assets(self) -> AssetsOfWork: ...
