"""Session rows of one person."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Row, and_, insert, select, text, update

from finora_adapters.postgres.schema import session
from finora_core.identity.sessions.model import Session, SessionKind


@attrs.frozen
class PgSessions:
    connection: Connection
    user_id: UUID

    def add(self, new: Session) -> None:
        values = attrs.asdict(new) | {"user_id": self.user_id, "kind": new.kind.value}
        del values["created_at"]  # The database says when.
        self.connection.execute(insert(session).values(values))

    def get(self, session_id: UUID) -> Session | None:
        row = self.connection.execute(select(session).where(self._at(session_id))).first()
        return None if row is None else _session(row)

    def locked(self, session_id: UUID) -> Session | None:
        query = select(session).where(self._at(session_id)).with_for_update()
        row = self.connection.execute(query).first()
        return None if row is None else _session(row)

    def list(self) -> Sequence[Session]:
        query = select(session).where(self._open).order_by(session.c.id.desc())
        return [_session(row) for row in self.connection.execute(query)]

    def rotate(self, session: Session) -> None:
        names = ("generation", "agent", "network", "rotated_at", "seen_at")
        self._change(session.id, **{name: getattr(session, name) for name in names})

    def seen(self, session_id: UUID, at: datetime) -> None:
        self._change(session_id, seen_at=at)

    def proven(self, session_id: UUID, at: datetime) -> None:
        self._change(session_id, proven_at=at)

    def end(self, session_id: UUID, reason: str) -> bool:
        where = and_(self._at(session_id), session.c.ended_at.is_(None))
        values = {"ended_at": text("now()"), "reason": reason}
        return self.connection.execute(update(session).where(where).values(values)).rowcount == 1

    def end_all(self, reason: str, but: UUID | None = None) -> Sequence[UUID]:
        where = self._open if but is None else and_(self._open, session.c.id != but)
        change = update(session).where(where).values(ended_at=text("now()"), reason=reason)
        return self.connection.scalars(change.returning(session.c.id)).all()

    def _change(self, session_id: UUID, **columns: object) -> None:
        self.connection.execute(update(session).where(self._at(session_id)).values(columns))

    def _at(self, session_id: UUID) -> Any:
        return and_(session.c.user_id == self.user_id, session.c.id == session_id)

    @property
    def _open(self) -> Any:
        return and_(session.c.user_id == self.user_id, session.c.ended_at.is_(None))


def _session(row: Row[Any]) -> Session:
    return Session(**(dict(row._mapping) | {"kind": SessionKind(row.kind)}))
