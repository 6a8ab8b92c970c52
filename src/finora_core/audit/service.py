"""Reading the log, checking it, anchoring it."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from uuid import UUID

import attrs

from finora_core.audit.model import (
    START,
    Anchor,
    AnchorChain,
    Anchored,
    AnchorMade,
    AnchorTaken,
    AnchorUnreadable,
    AuditBroken,
    Chain,
    Checked,
    Feed,
    FeedFilter,
    Flaw,
    FlawKind,
    Head,
    Link,
    LinkNotFound,
    SignedAnchor,
    Verification,
    Verifies,
)
from finora_core.audit.ports import Anchors, AuditWork, EveryLog, Signer
from finora_core.kernel.page import DEFAULT_LIMIT, checked_limit, decode_cursor, encode_cursor
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin

BATCH = 1_000
_HEADS = 5_000
_MOST_FLAWS = 1_000
_TRIES = 5


@attrs.frozen
class AuditService:
    begin: Begin[AuditWork]

    def events(
        self,
        scope: Scope,
        wanted: FeedFilter | None = None,
        *,
        after: int = 0,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Feed:
        """Sealed events after the number `after`, or after the cursor's, in their order. What is
        not sealed yet is not shown: it may still be overtaken."""
        limit = checked_limit(limit)
        if cursor is not None:
            (after,) = decode_cursor(cursor, (int,))
        with self.begin(scope) as work:
            # Asked first: what is sealed while this reads would leave holes in what was promised.
            last = work.log.last()
            found = work.log.feed(wanted or FeedFilter(), after, last, limit + 1)
        items = tuple(found[:limit])
        more = encode_cursor(items[-1].seq) if len(found) > limit else None
        return Feed(items=items, next=more, complete_to=max(after, last))

    def verify(self, scope: Scope, *, after: int = 0, limit: int | None = None) -> Checked:
        """Check the tenant's chain, or `limit` links of it after the number `after`, a batch a
        transaction. Raises LinkNotFound where there is no such link to go on from."""
        chain = Chain(tenant_id=scope.tenant_id)
        if after:
            with self.begin(scope) as work:
                found = work.log.links(after - 1, 1)
            if not found or found[0].seq != after:
                raise LinkNotFound(f"the chain has no link {after}")
            chain = Chain.after(found[0])

        def links(at: int, count: int) -> Sequence[Link]:
            with self.begin(scope) as work:
                return work.log.links(at, count)

        flaw, ended = walk(chain, links, limit)
        if flaw is None and ended:
            with self.begin(scope) as work:
                flaw = chain.unsealed(work.log.unsealed())
        going_on = flaw is None and not ended
        return Checked(
            first=after + 1, last=chain.seq, flaw=flaw, next=chain.seq if going_on else None
        )


def walk(
    chain: Chain,
    links: Callable[[int, int], Sequence[Link]],
    limit: int | None = None,
    most: int = BATCH,
) -> tuple[Flaw | None, bool]:
    """Check links until there are none, or `limit` of them; the first flaw, and whether the chain's
    end was reached."""
    left = limit
    while left is None or left > 0:
        count = most if left is None else min(most, left)
        batch = links(chain.seq, count)
        flaw = chain.check(batch)
        if flaw is not None or len(batch) < count:
            return flaw, flaw is None
        left = None if left is None else left - count
    return None, not links(chain.seq, 1)


@attrs.frozen
class Auditor:
    """Checks the logs of all tenants against themselves and against the anchors."""

    log: EveryLog
    verifies: Verifies
    batch: int = BATCH
    """How many links are in memory at once."""

    def verify(
        self,
        tenant_id: UUID | None = None,
        anchors: Anchors | None = None,
        keys: frozenset[bytes] = frozenset(),
        *,
        since: int = 1,
        all_anchors: bool = True,
    ) -> Verification:
        """Of one tenant, or of all. Anchors count that are signed with one of `keys`, from number
        `since` on; with `all_anchors` those that the log says were made must be there. Memory is
        bounded by the number of tenants."""
        flaws: dict[UUID | None, Flaw] = {}
        tenants = links = seen = 0
        for each in self._tenants(tenant_id):
            chain = Chain(tenant_id=each)
            flaw, _ = walk(chain, partial(self.log.links, each), most=self.batch)
            _keep(flaws, flaw or chain.unsealed(self.log.unsealed(each)))
            tenants, links = tenants + 1, links + chain.seq
        if anchors is not None:
            places = Places(self.log, tenant_id)
            for anchor, wrong in self._read(anchors, keys, since, all_anchors):
                _keep(flaws, wrong)
                if anchor is not None:
                    seen += 1
                    for flaw in places.compare(anchor):
                        _keep(flaws, flaw)
        return Verification(tenants=tenants, links=links, anchors=seen, flaws=tuple(flaws.values()))

    def require(self, anchors: Anchors, keys: frozenset[bytes]) -> Verification:
        """Raises AuditBroken."""
        return required(self.verify(None, anchors, keys))

    def _tenants(self, only: UUID | None) -> Iterator[UUID]:
        if only is not None:
            yield only
            return
        after: UUID | None = None
        while batch := self.log.tenants(after, BATCH):
            yield from batch
            after = batch[-1]

    def _read(
        self, anchors: Anchors, keys: frozenset[bytes], since: int, every: bool
    ) -> Iterator[tuple[Anchor | None, Flaw | None]]:
        # Asked first: one that is made meanwhile is in the store before it is in the log.
        made = self.log.last_anchor() if every else 0
        chain = AnchorChain(keys, self.verifies, since - 1, START if since == 1 else None)
        for number in anchors.numbers():
            if number >= since:
                yield chain.check(number, anchors.read(number))
        if chain.number < made:
            said = f"anchor {chain.number + 1}: it was made, and is not there"
            yield None, Flaw(kind=FlawKind.ANCHOR, said=said, anchor=chain.number + 1)


def required(found: Verification) -> Verification:
    """Raises AuditBroken, naming the first flaws."""
    if not found.whole:
        raise AuditBroken("; ".join(str(each) for each in found.flaws[:10]))
    return found


def _keep(flaws: dict[UUID | None, Flaw], flaw: Flaw | None) -> None:
    """The one that stands first in its tenant's chain."""
    if flaw is None:
        return
    known = flaws.get(flaw.tenant_id)
    if known is None and len(flaws) >= _MOST_FLAWS:
        return
    if known is None or (flaw.seq or 0) < (known.seq or 0):
        flaws[flaw.tenant_id] = flaw


@attrs.define
class Places:
    """Compares what was anchored with what is there. A chain that never was another has, at the
    number of every head that was ever anchored, that head's hash."""

    log: EveryLog
    only: UUID | None = None
    _good: dict[UUID, Head] = attrs.field(factory=dict)
    _erased: frozenset[UUID] = frozenset()
    _gone: set[UUID] = attrs.field(factory=set)

    def compare(self, anchor: Anchor) -> Iterator[Flaw]:
        news = (
            head
            for head in anchor.heads
            if self.only in (None, head.tenant_id)
            and self._good.get(head.tenant_id) != head
            and head.tenant_id not in self._gone
        )
        while batch := tuple(islice(news, _HEADS)):
            there = self.log.at(batch)
            for head in batch:
                found = there.get((head.tenant_id, head.seq))
                if found == head.hash:
                    self._good[head.tenant_id] = head
                elif found is not None or not self._is_erased(head.tenant_id):
                    yield self._flaw(anchor.number, head, found)

    def _is_erased(self, tenant_id: UUID) -> bool:
        """Whether the whole log is gone, as it was asked for."""
        if tenant_id not in self._erased:
            # Asked anew: it may have gone while this reads.
            self._erased = self.log.erased()
        if tenant_id in self._erased and self.log.last(tenant_id) == 0:
            self._gone.add(tenant_id)
        return tenant_id in self._gone

    def _flaw(self, number: int, head: Head, found: bytes | None) -> Flaw:
        good = self._good.get(head.tenant_id)
        after = good.seq if good else 0
        seq, kind = head.seq, FlawKind.REWRITTEN
        said = f"anchor {number} knows another link {seq}"
        if found is None:
            last = self.log.last(head.tenant_id)
            kind = FlawKind.GAP if last > seq else FlawKind.TRUNCATED
            said = f"anchor {number} knows a link {seq}, which is gone"
            seq = min(seq, last + 1)
        return Flaw(kind=kind, said=said, tenant_id=head.tenant_id, seq=seq, after=after,
                    anchor=number)  # fmt: skip


@attrs.frozen
class AnchorService:
    """Makes anchors. `signer` gives the key when it is needed."""

    begin: Begin[AuditWork]
    log: EveryLog
    anchors: Anchors
    signer: Callable[[], Signer]

    def anchor(self, scope: Scope) -> Anchored:
        """Write the heads of all tenants where the database's owner cannot reach, signed; compare
        those of the anchor before with what is there. A crash between the store and the log leaves
        an anchor that the log does not name, which is as good."""
        made, digest = self._make()
        with self.begin(scope) as work:
            work.events.record(AnchorMade(made.number, digest))
            return work.done(made)

    def require(self, scope: Scope) -> Anchored:
        """Raises AuditBroken, with the new anchor in place, where the one before does not hold."""
        made, digest = self._make()
        with self.begin(scope) as work:
            work.events.record(AnchorMade(made.number, digest))
            # Else its job would be over, and well.
            if not made.flaws:
                return work.done(made)
        raise AuditBroken("; ".join(str(each) for each in made.flaws[:10]))

    def _make(self) -> tuple[Anchored, bytes]:
        signer = self.signer()
        for _ in range(_TRIES):
            number, previous, flaws = self._before()
            made_at, heads = self.log.heads()
            anchor = Anchor(
                number=number + 1, previous=previous, made_at=made_at, heads=tuple(heads)
            )
            signed = SignedAnchor(
                anchor=anchor, key=signer.public_key, signature=signer.sign(anchor.message)
            )
            # Another one may be as fast; then this one comes after it.
            with suppress(AnchorTaken):
                self.anchors.add(anchor.number, signed.document)
                break
        else:
            raise AnchorTaken("others write anchors faster than this one can")
        made = Anchored(
            number=anchor.number,
            digest=signed.digest.hex(),
            tenants=len(anchor.heads),
            flaws=flaws,
        )
        return made, signed.digest

    def _before(self) -> tuple[int, bytes, tuple[Flaw, ...]]:
        """The last anchor's number, its digest, and what it knows that is not there any more."""
        number = max(self.anchors.numbers(), default=0)
        if not number:
            return 0, START, ()
        document = self.anchors.read(number)
        digest = hashlib.sha256(document).digest()
        try:
            last = SignedAnchor.read(document).anchor
        except AnchorUnreadable as refusal:
            # It stays as the proof that it is; the next one is written all the same.
            said = f"anchor {number}: {refusal.message}"
            return number, digest, (Flaw(kind=FlawKind.ANCHOR, said=said, anchor=number),)
        return number, digest, tuple(islice(Places(self.log).compare(last), _MOST_FLAWS))
