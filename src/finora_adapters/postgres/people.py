"""Rows of one person: who it is, by what it is known, and the links and codes it was sent."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Row, and_, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from finora_adapters.postgres.schema import challenge, identity, person
from finora_core.identity.people.model import (
    Challenge,
    EmailTaken,
    Found,
    Identity,
    IdentityKind,
    IdentityTaken,
    Listing,
    Person,
    Purpose,
)
from finora_core.identity.roles import PlatformRole

_FIND = text("select * from finora.find_person(:kind, :issuer, :subject)")
_HOME = text("select finora.home_of(:user)")
_PAGE = text("select * from finora.people(:after, :limit, :words)")
_PERSON = [column for column in person.c if column.name != "key"]
_IDENTITY = [column for column in identity.c if column.name != "user_id"]
_CHALLENGE = [column for column in challenge.c if column.name not in ("user_id", "created_at")]


@attrs.frozen
class PgPeople:
    connection: Connection
    user_id: UUID

    def find(self, kind: IdentityKind, issuer: str, subject: str) -> Found | None:
        values = {"kind": kind.value, "issuer": issuer, "subject": subject}
        row = self.connection.execute(_FIND, values).first()
        return None if row is None else Found(**row._mapping)

    def home(self, user_id: UUID) -> UUID | None:
        found: UUID | None = self.connection.scalar(_HOME, {"user": user_id})
        return found

    def add(self, new: Person) -> None:
        values = {
            "user_id": new.user_id,
            # A name that no host would choose for its user.
            "key": f"finora:person:{new.user_id}",
            "home_id": new.home_id,
            "name": new.name,
            "locale": new.locale,
            "currency": new.currency,
            "password": new.password,
        }
        self.connection.execute(insert(person).values(values))

    def get(self, *, lock: bool = False) -> Person | None:
        query = select(*_PERSON).where(self._mine)
        row = self.connection.execute(query.with_for_update() if lock else query).first()
        return None if row is None else _person(row)

    def change(self, **columns: object) -> None:
        if "roles" in columns:
            columns["roles"] = written(columns["roles"])
        self.connection.execute(update(person).where(self._mine).values(columns))

    def page(self, after: UUID | None, limit: int, words: str) -> Sequence[Listing]:
        values = {"after": after, "limit": limit, "words": words}
        return [
            Listing(**(dict(row._mapping) | {"roles": _roles(row.roles)}))
            for row in self.connection.execute(_PAGE, values)
        ]

    # --- identities ---

    def add_identity(self, new: Identity) -> None:
        values = attrs.asdict(new) | {"user_id": self.user_id, "kind": new.kind.value}
        del values["created_at"]  # The database says when.
        try:
            with self.connection.begin_nested():
                self.connection.execute(insert(identity).values(values))
        except IntegrityError as error:
            if "identity_kind_issuer_subject_key" not in str(error.orig):
                raise
            if new.kind is IdentityKind.EMAIL:
                raise EmailTaken("somebody signed up with this address before") from error
            raise IdentityTaken(f"this {new.kind.value} is somebody's already") from error

    def identities(self) -> Sequence[Identity]:
        mine = identity.c.user_id == self.user_id
        query = select(*_IDENTITY).where(mine).order_by(identity.c.created_at, identity.c.id)
        return [
            Identity(**(dict(row._mapping) | {"kind": IdentityKind(row.kind)}))
            for row in self.connection.execute(query)
        ]

    def change_identity(self, identity_id: UUID, **columns: object) -> bool:
        change = update(identity).where(self._identity(identity_id)).values(columns)
        return self.connection.execute(change).rowcount == 1

    def remove_identity(self, identity_id: UUID) -> None:
        self.connection.execute(delete(identity).where(self._identity(identity_id)))

    # --- links and codes ---

    def add_challenge(self, new: Challenge) -> None:
        values = {
            "user_id": self.user_id,
            "id": new.id,
            "purpose": new.purpose.value,
            "identity_id": new.identity_id,
            "expires_at": new.expires_at,
        }
        self.connection.execute(insert(challenge).values(values))

    def challenge(self, challenge_id: UUID) -> Challenge | None:
        query = select(*_CHALLENGE).where(self._challenge(challenge_id)).with_for_update()
        row = self.connection.execute(query).first()
        return None if row is None else _challenge(row)

    def newest_challenge(self, purpose: str) -> Challenge | None:
        query = (
            select(*_CHALLENGE)
            .where(challenge.c.user_id == self.user_id, challenge.c.purpose == purpose)
            .order_by(challenge.c.id.desc())
            .limit(1)
            .with_for_update()
        )
        row = self.connection.execute(query).first()
        return None if row is None else _challenge(row)

    def use_challenge(self, challenge_id: UUID) -> bool:
        change = (
            update(challenge)
            .where(self._challenge(challenge_id), challenge.c.used_at.is_(None))
            .values(used_at=text("now()"))
        )
        return self.connection.execute(change).rowcount == 1

    def use_challenges(self) -> None:
        change = update(challenge).where(
            challenge.c.user_id == self.user_id,
            challenge.c.used_at.is_(None),
            challenge.c.purpose != Purpose.VERIFY.value,
        )
        self.connection.execute(change.values(used_at=text("now()")))

    def count_try(self, challenge_id: UUID) -> None:
        change = update(challenge).where(self._challenge(challenge_id))
        self.connection.execute(change.values(tries=challenge.c.tries + 1))

    @property
    def _mine(self) -> Any:
        return person.c.user_id == self.user_id

    def _identity(self, identity_id: UUID) -> Any:
        return and_(identity.c.user_id == self.user_id, identity.c.id == identity_id)

    def _challenge(self, challenge_id: UUID) -> Any:
        return and_(challenge.c.user_id == self.user_id, challenge.c.id == challenge_id)


def written(roles: Any) -> str:
    """Platform roles as their column has them."""
    return ",".join(sorted(PlatformRole(each).value for each in roles))


def _roles(text: str) -> tuple[PlatformRole, ...]:
    return tuple(PlatformRole(each) for each in text.split(",") if each)


def _person(row: Row[Any]) -> Person:
    values = dict(row._mapping)
    values["created_at"] = values.pop("recorded_at")
    values["roles"] = _roles(row.roles)
    values["codes"] = None if row.codes is None else bytes(row.codes)
    return Person(**values)


def _challenge(row: Row[Any]) -> Challenge:
    return Challenge(**(dict(row._mapping) | {"purpose": Purpose(row.purpose)}))
