"""The sweep: no row past its time, no object without a row, and a word on every row without one."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import attrs

from finora_core.files.ports import FileRows, Listed, ObjectNotFound, Objects, Reference
from finora_core.kernel.clock import Clock

ORPHAN_S = 60 * 60
"""How long an object may lie without a row: its row is written after it."""

log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class Swept:
    expired: int
    """Rows deleted because their time was over."""
    orphans: int
    """Objects deleted because no row referred to them for an hour."""
    lost: int
    """Rows whose object is gone or has another length; each is named in the log and left alone."""


@attrs.frozen
class FileSweeper:
    rows: FileRows
    objects: Objects
    clock: Clock

    # Writing, the object comes first and its row after; deleting, the row goes first and its object
    # after. So a crash in between leaves an object without a row, which costs an hour of space and
    # is found by the next sweep, and never a row that promises what is not there.
    def sweep_files(self) -> Swept:
        """Over all tenants; may be broken off, repeated, and run twice at once."""
        expired, orphans, lost = self.rows.expire(), 0, 0
        after: tuple[UUID, str] | None = None
        for page in self.objects.pages():
            upto = page[-1].tenant_id, page[-1].key
            references = self.rows.references(after, upto)
            orphans += self._sweep(page, references)
            lost += self._count_lost(page, references)
            after = upto
        lost += self._count_lost((), self.rows.references(after, None))
        return Swept(expired=expired, orphans=orphans, lost=lost)

    def _sweep(self, page: Sequence[Listed], references: Sequence[Reference]) -> int:
        known = {(each.tenant_id, each.key) for each in references}
        before = self.clock.now() - timedelta(seconds=ORPHAN_S)
        deleted = 0
        for found in page:
            if (found.tenant_id, found.key) in known or found.written_at > before:
                continue
            # Asked again under the lock: the same content may have come back since.
            with self.rows.unreferenced(found.tenant_id, found.key) as free:
                if free:
                    self.objects.delete(found.tenant_id, found.key)
                    deleted += 1
        return deleted

    def _count_lost(self, page: Sequence[Listed], references: Sequence[Reference]) -> int:
        there = {(each.tenant_id, each.key): each.bytes for each in page}
        lost = 0
        for row in references:
            place = row.tenant_id, row.key
            # A row may be younger than the listing, so the store is asked once more.
            if row.due and there.get(place) != row.bytes and not self._there(row):
                log.error("the object %s of tenant %s is lost", row.key, row.tenant_id)
                lost += 1
        return lost

    def _there(self, row: Reference) -> bool:
        try:
            return self.objects.stat(row.tenant_id, row.key).bytes == row.bytes
        except ObjectNotFound:
            return False
