"""What administrators do about people. One administrator can do none of it to another: only who
runs the installation can, with the command."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

import attrs

from finora_core.identity.model import TokenRevoked
from finora_core.identity.people.enrol import challenge
from finora_core.identity.people.letters import forget_guesses
from finora_core.identity.people.model import (
    AdminProtected,
    IdentityKind,
    Listing,
    Person,
    PersonChanged,
    PersonNotFound,
    Purpose,
)
from finora_core.identity.ports import IdentityWork
from finora_core.identity.roles import PlatformRole
from finora_core.identity.sessions.door import Door
from finora_core.identity.sessions.model import SessionEnded
from finora_core.kernel.page import Page, checked_limit, decode_cursor, encode_cursor
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import retried


@attrs.frozen
class AdminService:
    door: Door

    def people(
        self, scope: Scope, *, words: str = "", cursor: str | None = None, limit: int = 50
    ) -> Page[Listing]:
        """Everybody who signed up, oldest first, or whose name or address has the words in it."""
        limit = checked_limit(limit)
        after = None if cursor is None else decode_cursor(cursor, (UUID,))[0]
        with self.door.begin(scope) as work:
            found = work.people.page(after, limit + 1, words)
        more = len(found) > limit
        shown = tuple(found[:limit])
        return Page(shown, encode_cursor(str(shown[-1].user_id)) if more else None)

    @retried
    def ban(self, scope: Scope, user_id: UUID) -> Person:
        """Every session and token of the person ends, and none begins. Twice is once. Raises
        PersonNotFound, AdminProtected."""
        with self._person(scope, user_id) as (work, person):
            if person.banned_at is None:
                work.people.change(banned_at=work.now)
                self._end_sessions(work, user_id, "banned")
                work.events.record(PersonChanged(user_id, "banned"))
            tenants = [each.id for each in work.members.mine()]
            result = work.done(attrs.evolve(person, banned_at=person.banned_at or work.now))
        for tenant_id in tenants:
            # In each tenant's own log, so that whoever keeps copies of its data learns of it.
            with self.door.begin(attrs.evolve(scope, cause=None).at(tenant_id, user_id)) as work:
                for token in work.tokens.list():
                    if token.user_id == user_id and token.revoked_at is None:
                        work.tokens.revoke(token.id)
                        work.events.record(TokenRevoked(token.id))
        return result

    @retried
    def unban(self, scope: Scope, user_id: UUID) -> Person:
        """Raises PersonNotFound, AdminProtected."""
        with self._person(scope, user_id) as (work, person):
            if person.banned_at is not None:
                work.people.change(banned_at=None)
                work.events.record(PersonChanged(user_id, "unbanned"))
            return work.done(attrs.evolve(person, banned_at=None))

    @retried
    def unlock(self, scope: Scope, user_id: UUID) -> Person:
        """Forget the wrong guesses at the person's password and codes. Raises PersonNotFound."""
        with self._person(scope, user_id, protected=False) as (work, person):
            forget_guesses(work, user_id)
            work.events.record(PersonChanged(user_id, "unlocked"))
            return work.done(person)

    @retried
    def set_roles(self, scope: Scope, user_id: UUID, roles: Sequence[PlatformRole]) -> Person:
        """The person's roles on the platform; nobody makes an administrator here. Raises
        PersonNotFound, AdminProtected."""
        if PlatformRole.ADMIN in roles:
            raise AdminProtected("only the command makes an administrator: finora admin grant")
        with self._person(scope, user_id) as (work, person):
            new = tuple(sorted(set(roles)))
            if new != person.roles:
                work.people.change(roles=new)
                work.events.record(PersonChanged(user_id, "roles"))
            return work.done(attrs.evolve(person, roles=new))

    @retried
    def force_reset(self, scope: Scope, user_id: UUID) -> Person:
        """Forget the password, end every session, and send a link to set another. Raises
        PersonNotFound, AdminProtected."""
        with self._person(scope, user_id) as (work, person):
            work.people.change(password=None)
            work.people.use_challenges()
            self._end_sessions(work, user_id, "password")
            work.events.record(PersonChanged(user_id, "reset"))
            mails = [e for e in work.people.identities() if e.kind is IdentityKind.EMAIL]
            for each in mails[:1]:
                challenge(work, user_id, each.id, Purpose.RESET)
            return work.done(attrs.evolve(person, password=None))

    @contextmanager
    def _person(
        self, scope: Scope, user_id: UUID, *, protected: bool = True
    ) -> Iterator[tuple[IdentityWork, Person]]:
        with self.door.begin(attrs.evolve(scope, cause=None)) as work:
            home_id = work.people.home(user_id)
        if home_id is None:
            raise PersonNotFound(f"no person {user_id}")
        with self.door.begin(scope.at(home_id, user_id)) as work:
            person = work.people.get(lock=True)
            assert person is not None
            if protected and PlatformRole.ADMIN in person.roles:
                raise AdminProtected("an administrator cannot do this to another")
            yield work, person

    def _end_sessions(self, work: IdentityWork, user_id: UUID, reason: str) -> None:
        for session_id in work.sessions.end_all(reason):
            work.events.record(SessionEnded(user_id, session_id, reason))
