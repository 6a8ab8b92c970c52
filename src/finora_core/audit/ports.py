"""What reading, checking and anchoring the log needs."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from finora_core.audit.model import FeedFilter, FeedItem, Head, Link, Unsealed
from finora_core.kernel.work import Work

UNSEALED_S = 60 * 60
"""An event that waits for its seal for longer than this is a flaw."""


class Log(Protocol):
    """A tenant's log, in its transaction."""

    def last(self) -> int:
        """The number of the last sealed event, 0 without one."""

    def feed(self, wanted: FeedFilter, after: int, upto: int, limit: int) -> Sequence[FeedItem]:
        """Sealed events with after < seq <= upto, in order."""

    def links(self, after: int, limit: int) -> Sequence[Link]:
        """The next links, in order."""

    def unsealed(self) -> Unsealed | None:
        """The first event without a link that the sealer has passed, or that waits too long."""


class AuditWork(Work, Protocol):
    @property
    def log(self) -> Log: ...


class EveryLog(Protocol):
    """The logs of all tenants. Each call is a transaction of its own."""

    def tenants(self, after: UUID | None, limit: int) -> Sequence[UUID]:
        """Those that have an event or a link, in order."""

    def links(self, tenant_id: UUID, after: int, limit: int) -> Sequence[Link]: ...

    def unsealed(self, tenant_id: UUID) -> Unsealed | None: ...

    def last(self, tenant_id: UUID) -> int: ...

    def heads(self) -> tuple[datetime, Sequence[Head]]:
        """The last link of every tenant, in their order, and the database's time."""

    def at(self, heads: Sequence[Head]) -> Mapping[tuple[UUID, int], bytes]:
        """The hashes that are now at the places of these heads, as far as there is any."""

    def erased(self) -> frozenset[UUID]:
        """Tenants whose log went with them, as the log of the platform's own tenant says."""

    def last_anchor(self) -> int:
        """The number of the anchor that was made last, as the log has it; 0 without one."""


class Anchors(Protocol):
    """Where anchors are kept, out of the database's reach. Raises StorageUnavailable."""

    def numbers(self) -> Iterator[int]:
        """Of all there are, ascending."""

    def read(self, number: int) -> bytes:
        """Raises AnchorNotFound."""

    def add(self, number: int, document: bytes) -> None:
        """Keep it, and return once it is durable. Raises AnchorTaken where one is there."""


class Signer(Protocol):
    @property
    def public_key(self) -> bytes: ...

    def sign(self, message: bytes) -> bytes: ...
