"""What people do with identities: say who an asset is, look it up, say what they think of it."""

import attrs

from finora_core.kernel.asset import Asset
from finora_core.kernel.page import DEFAULT_LIMIT, Page, checked_limit
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried
from finora_core.market.assets.model import (
    AssetKind,
    Identified,
    Identity,
    Judged,
    NoIdentity,
    pretended,
    segment_of,
)
from finora_core.market.assets.ports import IdentitiesWork


@attrs.frozen
class IdentityService:
    begin: Begin[IdentitiesWork]

    @retried
    def identify(self, scope: Scope, asset: Asset, said: Identity, *, source: str) -> Identity:
        """Who an asset is. What was said before stays; new names and a new scam probability are
        kept. An asset that looks like a known one is quarantined. Raises SymbolTaken."""
        with self.begin(scope) as work:
            work.assets.add(asset)
            return work.done(self._keep(work, said, source))

    @retried
    def judge(self, scope: Scope, asset: str, scam: int | None, *, source: str) -> Identity:
        """How likely it is a scam, in ten thousandths. Raises NoIdentity."""
        with self.begin(scope) as work:
            known = self._get(work, asset)
            return work.done(self._keep(work, attrs.evolve(known, scam=scam), source))

    def get(self, scope: Scope, asset: str) -> Identity:
        """Raises NoIdentity."""
        with self.begin(scope) as work:
            return self._get(work, asset)

    def named(self, scope: Scope, namespace: str, name: str) -> Identity:
        """What a namespace calls so. Raises NoIdentity."""
        with self.begin(scope) as work:
            found = work.identities.named(namespace, name)
            if found is None:
                raise NoIdentity(f"{namespace} has no name {name!r}")
            return found

    def search(
        self,
        scope: Scope,
        words: str,
        *,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Identity]:
        """By symbol, name, id or part of the title."""
        with self.begin(scope) as work:
            return work.identities.search(words, cursor, checked_limit(limit))

    def _get(self, work: IdentitiesWork, asset: str) -> Identity:
        found = work.identities.find(asset)
        if found is None:
            raise NoIdentity(f"nobody said who {asset} is")
        return found

    def _keep(self, work: IdentitiesWork, said: Identity, source: str) -> Identity:
        before = work.identities.find(said.asset)
        if before is None:
            segment = said.segment or segment_of(said.asset)
            taken = any(
                (each.symbol, each.kind, each.segment) == (said.symbol, said.kind, segment)
                for each in work.identities.alike(said.skeleton)
            )
            # Anybody may make a token of any name on a chain: it is itself all the same.
            if taken and said.kind is AssetKind.CRYPTO:
                segment = said.asset
            work.identities.add(attrs.evolve(said, segment=segment))
            work.events.record(Identified(said.asset))
        elif said.names:
            work.identities.add(attrs.evolve(before, names=said.names))
        found = self._get(work, said.asset)
        self._judge(work, attrs.evolve(found, scam=said.scam), source, looked=found)
        # Who was here first and has no name may have looked like this one before it came.
        for other in work.identities.alike(found.skeleton):
            if other.asset != found.asset and found.names:
                self._judge(work, other, source, looked=other, quiet=True)
        return self._get(work, said.asset)

    def _judge(
        self,
        work: IdentitiesWork,
        new: Identity,
        source: str,
        *,
        looked: Identity,
        quiet: bool = False,
    ) -> None:
        """Keep the verdict. `quiet` keeps none that says what was said already."""
        like = pretended(new, work.identities.alike(new.skeleton))
        if quiet and (new.scam, like) == (looked.scam, looked.lookalike):
            return
        work.identities.judge(new.asset, source, new.scam, like)
        work.events.record(Judged(asset=new.asset, scam=new.scam, lookalike=like))
