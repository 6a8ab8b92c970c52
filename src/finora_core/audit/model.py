"""The event log as it is sealed: a chain of links for each tenant, what breaks it, and the anchors
that say outside the database how far it had come.

An event's place, `seq`, is its only order. A link's hash is over the link before and everything
that the event's row and its own hold, so that no byte of either changes unseen. Who may recompute
every link of a tenant leaves a sound chain, with other heads than those that were anchored.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

import attrs

from finora_core.kernel.errors import Conflict, FinoraError, Invalid, NotFound
from finora_core.kernel.events import Plain
from finora_core.kernel.plain import canonical
from finora_core.kernel.scope import SOURCE_AGENT

START = bytes(32)
"""What the first link, and the first anchor, name as the one before."""

_SIGNED = b"finora anchor 1\n"


class AuditBroken(FinoraError):
    """The event log is not as it was sealed or anchored: somebody must look, before all else."""


class AnchorTaken(Conflict):
    """An anchor of this number is there already; an anchor is never written over."""

    code = "ANCHOR_TAKEN"


class AnchorNotFound(NotFound):
    """There is no anchor of this number, or none at all."""

    code = "ANCHOR_NOT_FOUND"


class AnchorUnreadable(Invalid):
    """The document is not an anchor as Finora writes it."""

    code = "ANCHOR_UNREADABLE"


class LinkNotFound(NotFound):
    """The tenant's chain has no link of this number to go on from."""

    code = "LINK_NOT_FOUND"


@attrs.frozen(kw_only=True)
class Logged:
    """An event as its row has it."""

    tenant_id: UUID
    id: UUID
    type: str
    payload: Mapping[str, Plain]
    actor: UUID
    source_agent: str
    request_id: str
    recorded_at: datetime


@attrs.frozen(kw_only=True)
class FeedItem:
    """A sealed event, as other programs read it."""

    seq: int
    id: UUID
    type: str
    payload: Mapping[str, Plain]
    actor: UUID
    source_agent: str
    trace_id: str
    """The request that caused it, through jobs too."""
    recorded_at: datetime
    sealed_at: datetime
    hash: bytes

    @property
    def hash_text(self) -> str:
        return self.hash.hex()


@attrs.frozen(kw_only=True)
class Feed:
    """A page of the feed. Everything up to `complete_to` is in it or in the pages before and after;
    what comes later has a larger number."""

    items: tuple[FeedItem, ...]
    next: str | None
    complete_to: int


@attrs.frozen(kw_only=True)
class FeedFilter:
    """Which events; None is any. `since` is included, `until` is not."""

    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    actor: UUID | None = None


# --- the chain -----------------------------------------------------------------------------------


def link_hash(previous: bytes, seq: int, event: Logged, sealed_at: datetime) -> bytes:
    """SHA-256 over the link before and all that this one says."""
    form = [2, seq, _instant(sealed_at), event.source_agent, *_first_fields(event)]
    return hashlib.sha256(previous + canonical(form).encode()).digest()


def first_link_hash(previous: bytes, event: Logged) -> bytes:
    """As links were sealed before events named their program. Those stay as they are."""
    return hashlib.sha256(previous + canonical(_first_fields(event)).encode()).digest()


def _first_fields(event: Logged) -> list[object]:
    return [
        str(event.tenant_id),
        str(event.id),
        event.type,
        event.payload,
        str(event.actor),
        event.request_id,
        _instant(event.recorded_at),
    ]


def _instant(value: datetime) -> str:
    # In UTC, or a server in another time zone would compute another hash.
    return value.astimezone(UTC).isoformat()


@attrs.frozen(kw_only=True)
class Link:
    """A row of the seal, with the event that it names; None where that is gone. `tx` orders events
    of one server and is in no hash: a restore gives transactions new numbers."""

    tenant_id: UUID
    seq: int
    event_id: UUID
    tx: int
    sealed_at: datetime
    hash: bytes
    event: Logged | None
    event_tx: int | None


class FlawKind(StrEnum):
    CHANGED = "changed"
    """The row, or its event's, says something else than was sealed."""
    DELETED = "deleted"
    """The event's row is gone."""
    SWAPPED = "swapped"
    """Another row of the chain belongs here."""
    INSERTED = "inserted"
    """A row more than was sealed."""
    GAP = "gap"
    """The link's row is gone."""
    TRUNCATED = "truncated"
    """The chain ends here, and went on once."""
    REWRITTEN = "rewritten"
    """The chain is sound in itself and not the one that was anchored."""
    UNSEALED = "unsealed"
    """An event waits to be sealed for longer than anything may take."""
    ANCHOR = "anchor"
    """An anchor is missing, changed, or signed with another key."""


@attrs.frozen(kw_only=True)
class Flaw:
    """Where the log is not what it was, and what kind of change it looks like. `seq` is exact: up
    to the link before, everything is as it was sealed. What only the anchors tell is a range: the
    first change lies after `after`, at `seq` at the latest."""

    kind: FlawKind
    said: str
    tenant_id: UUID | None = None
    seq: int | None = None
    event_id: UUID | None = None
    after: int | None = None
    anchor: int | None = None

    def __str__(self) -> str:
        where = f"tenant {self.tenant_id} seq {self.seq}" if self.tenant_id else "anchors"
        event = f" event {self.event_id}" if self.event_id else ""
        return f"{where}{event}: {self.kind}: {self.said}"


@attrs.frozen(kw_only=True)
class Unsealed:
    """An event without a link that should have one. `place` is the number it would have had."""

    event_id: UUID
    place: int
    passed: bool
    """The sealer has gone past it; else it has only waited very long."""


@attrs.define(kw_only=True)
class Chain:
    """A tenant's chain as far as it was checked. Feed it links in order, any number at a time."""

    tenant_id: UUID
    seq: int = 0
    hash: bytes = START
    _tx: int = 0
    _sealed_at: datetime | None = None

    @classmethod
    def after(cls, link: Link) -> "Chain":
        """To go on after a link that was checked before."""
        return cls(tenant_id=link.tenant_id, seq=link.seq, hash=link.hash, tx=link.tx,
                   sealed_at=link.sealed_at)  # fmt: skip

    def check(self, links: Sequence[Link]) -> Flaw | None:
        """The first flaw, or None. What stands before it, and nothing else, was taken in."""
        for link in links:
            found = self._flaw(link, links)
            if found is not None:
                return found
            self.seq, self.hash = link.seq, link.hash
            self._tx, self._sealed_at = link.tx, link.sealed_at
        return None

    def _flaw(self, link: Link, links: Sequence[Link]) -> Flaw | None:
        wanted = self.seq + 1
        if link.seq > wanted:
            return self._at(wanted, FlawKind.GAP, f"the next link that is there is {link.seq}")
        if link.seq < wanted:
            return self._at(link.seq, FlawKind.INSERTED, "a second link of this number", link)
        if link.event is None:
            return self._at(wanted, FlawKind.DELETED, "the event's row is gone", link)
        if not self._holds(link, link.event):
            if any(self._belongs(link, other) for other in links):
                return self._at(wanted, FlawKind.SWAPPED, "another row belongs here", link)
            return self._at(wanted, FlawKind.CHANGED, "the hash is not that of the row", link)
        if link.tx != link.event_tx or link.tx < self._tx:
            said = "the transaction is not the one that it was sealed in"
            return self._at(wanted, FlawKind.CHANGED, said, link)
        if self._sealed_at is not None and link.sealed_at < self._sealed_at:
            return self._at(wanted, FlawKind.CHANGED, "it was sealed before its predecessor", link)
        return None

    def _holds(self, link: Link, event: Logged) -> bool:
        try:
            if link_hash(self.hash, link.seq, event, link.sealed_at) == link.hash:
                return True
            # Of the first form nothing says the program; there was only the one.
            first = event.source_agent == SOURCE_AGENT
            return first and first_link_hash(self.hash, event) == link.hash
        except RecursionError:
            return False  # deeper than anything that was ever written

    def _belongs(self, link: Link, other: Link) -> bool:
        """Whether this link would be whole with something of the other's: its event, what that
        says, or all of it."""
        if other is link or other.event is None or link.event is None:
            return False
        said = attrs.evolve(other.event, id=link.event.id)
        return (
            self._holds(link, other.event)
            or self._holds(link, said)
            or self._holds(attrs.evolve(other, seq=link.seq), other.event)
            or self._holds(attrs.evolve(link, hash=other.hash), link.event)
        )

    def _at(self, seq: int, kind: FlawKind, said: str, link: Link | None = None) -> Flaw:
        event_id = None if link is None else link.event_id
        return Flaw(kind=kind, said=said, tenant_id=self.tenant_id, seq=seq, event_id=event_id)

    def unsealed(self, found: Unsealed | None) -> Flaw | None:
        """What an event without a link says of the chain, which was checked to its end."""
        if found is None:
            return None
        if not found.passed:
            kind, said = FlawKind.UNSEALED, "the event waits to be sealed; does a worker run?"
        elif found.place > self.seq:
            kind, said = FlawKind.TRUNCATED, "the event has lost its link, or never had one"
        else:
            kind, said = FlawKind.INSERTED, "the event has no link, and the sealer went past it"
        return Flaw(kind=kind, said=said, tenant_id=self.tenant_id, seq=found.place,
                    event_id=found.event_id)  # fmt: skip


@attrs.frozen(kw_only=True)
class Checked:
    """Of one tenant: links from `first` to `last` were checked; `next` is where to go on, None at
    the end of the chain."""

    first: int
    last: int
    flaw: Flaw | None
    next: int | None

    @property
    def whole(self) -> bool:
        return self.flaw is None


@attrs.frozen(kw_only=True)
class Verification:
    """What was looked at, and the first flaw of every tenant and of the anchors, a thousand at
    most."""

    tenants: int
    links: int
    anchors: int
    flaws: tuple[Flaw, ...]

    @property
    def whole(self) -> bool:
        return not self.flaws


# --- anchors -------------------------------------------------------------------------------------


@attrs.frozen
class Head:
    """How far a tenant's chain has come."""

    tenant_id: UUID
    seq: int
    hash: bytes


@attrs.frozen(kw_only=True)
class Anchor:
    """The heads of all tenants at one moment. `previous` is the digest of the anchor before."""

    number: int
    previous: bytes
    made_at: datetime
    heads: tuple[Head, ...]

    def plain(self) -> dict[str, object]:
        return {
            "number": self.number,
            "previous": self.previous.hex(),
            "made_at": _instant(self.made_at),
            "heads": [[str(each.tenant_id), each.seq, each.hash.hex()] for each in self.heads],
        }

    @property
    def message(self) -> bytes:
        """What is signed."""
        return _SIGNED + canonical(self.plain()).encode()


@attrs.frozen(kw_only=True)
class SignedAnchor:
    """An anchor as it is kept: one line of canonical JSON."""

    anchor: Anchor
    key: bytes
    """The public key; who verifies must know it from elsewhere."""
    signature: bytes

    @property
    def document(self) -> bytes:
        said = {
            "anchor": self.anchor.plain(),
            "key": self.key.hex(),
            "signature": self.signature.hex(),
        }
        return canonical(said).encode() + b"\n"

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.document).digest()

    @classmethod
    def read(cls, document: bytes) -> "SignedAnchor":
        """Raises AnchorUnreadable for whatever is not, byte for byte, what `document` gives."""
        try:
            said = json.loads(document)
            anchor = said["anchor"]
            found = cls(
                anchor=Anchor(
                    number=_whole(anchor["number"]),
                    previous=_bytes(anchor["previous"], 32),
                    made_at=datetime.fromisoformat(anchor["made_at"]),
                    heads=tuple(
                        Head(UUID(tenant), _whole(seq), _bytes(link, 32))
                        for tenant, seq, link in anchor["heads"]
                    ),
                ),
                key=_bytes(said["key"], 32),
                signature=_bytes(said["signature"], 64),
            )
            same = found.document == document
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise AnchorUnreadable("this is not an anchor") from error
        if not same:
            raise AnchorUnreadable("this is not an anchor as it is written")
        return found


def _whole(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError("not a number from 1")
    return value


def _bytes(value: Any, size: int) -> bytes:
    read = bytes.fromhex(value)
    if len(read) != size:
        raise ValueError(f"not {size} bytes")
    return read


Verifies = Callable[[bytes, bytes, bytes], bool]
"""(public key, signature, message) -> whether the signature is the key's."""


@attrs.define
class AnchorChain:
    """Anchors as far as they were checked, from the first that is asked for."""

    keys: frozenset[bytes]
    """Public keys that are known to be ours."""
    verifies: Verifies
    number: int = 0
    digest: bytes | None = START
    """None: the first one that comes is taken for what it says of the one before."""

    def check(self, number: int, document: bytes) -> tuple[Anchor | None, Flaw | None]:
        """The next anchor: its content if it is of ours, and what is wrong with it. One that was
        signed with our key is good also where others around it are not."""
        wanted, self.number = self.number + 1, number
        before, self.digest = self.digest, hashlib.sha256(document).digest()
        try:
            found = SignedAnchor.read(document)
        except AnchorUnreadable as refusal:
            return None, self._flaw(number, refusal.message)
        if found.key not in self.keys:
            return None, self._flaw(number, f"it is signed with the strange key {found.key.hex()}")
        if not self.verifies(found.key, found.signature, found.anchor.message):
            return None, self._flaw(number, "its signature is wrong")
        if number != wanted:
            said = f"it is not there, and anchor {number} is"
            return found.anchor, self._flaw(wanted, said)
        if found.anchor.number != number:
            return found.anchor, self._flaw(number, f"it is anchor {found.anchor.number}")
        if before is not None and found.anchor.previous != before:
            return found.anchor, self._flaw(number, "it names another one as the one before it")
        return found.anchor, None

    def _flaw(self, number: int, said: str) -> Flaw:
        return Flaw(kind=FlawKind.ANCHOR, said=f"anchor {number}: {said}", anchor=number)


@attrs.frozen(kw_only=True)
class Anchored:
    """What became of making an anchor. `flaws` are of heads that the one before had, and that are
    not there any more."""

    number: int
    digest: str
    tenants: int
    flaws: tuple[Flaw, ...]


@attrs.frozen
class AnchorMade:
    type: ClassVar[str] = "audit.anchored"

    number: int
    digest: bytes

    def payload(self) -> Mapping[str, Plain]:
        return {"number": self.number, "digest": self.digest.hex()}
