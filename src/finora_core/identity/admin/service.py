"""What administrators do about people. One administrator can do none of it to another, nor make
one: only who runs the installation can, with the command."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import quote
from uuid import UUID

import attrs

from finora_core.identity.model import TokenRevoked
from finora_core.identity.people.enrol import challenge, enrol
from finora_core.identity.people.letters import forget_guesses
from finora_core.identity.people.links import Links
from finora_core.identity.people.model import (
    AdminProtected,
    Challenge,
    EmailTaken,
    Identity,
    IdentityKind,
    Listing,
    Person,
    PersonChanged,
    PersonNotFound,
    Purpose,
    UnknownRole,
)
from finora_core.identity.ports import IdentityWork
from finora_core.identity.roles import PlatformRole
from finora_core.identity.sessions.door import Door
from finora_core.identity.sessions.model import SessionEnded
from finora_core.kernel.ids import derived_id, new_id
from finora_core.kernel.page import MAX_LIMIT, Page, checked_limit, decode_cursor, encode_cursor
from finora_core.kernel.scope import Command, Scope
from finora_core.kernel.work import retried
from finora_core.mail.model import address_key


@attrs.frozen
class AdminService:
    door: Door
    operator: bool = False
    """Whether it serves who runs the installation, and so is no administrator among others."""

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
    def create(
        self,
        scope: Scope,
        email: str,
        *,
        name: str = "",
        roles: Sequence[PlatformRole] = (),
        locale: str = "en",
        currency: str = "EUR",
        letter: Purpose | None = Purpose.RESET,
    ) -> Listing:
        """A person, whom a letter asks to set a password. Raises EmailTaken, BadMailAddress,
        BadProfile, AdminProtected."""
        given = self._given(roles)
        key = address_key(email)
        # A repeat of the request finds the person that the first one made.
        about = scope.cause.key if isinstance(scope.cause, Command) else scope.request_id
        user_id, home_id, identity_id = (
            derived_id(what, str(scope.user_id), key, about)
            for what in ("person", "home", "identity")
        )
        person = Person(
            user_id=user_id,
            home_id=home_id,
            name=name.strip(),
            locale=locale,
            currency=currency,
        )
        identity = Identity(
            id=identity_id,
            kind=IdentityKind.EMAIL,
            issuer="",
            subject=key,
            label=email.strip(),
            verified_at=None,
        )
        with self.door.begin(scope.at(home_id, user_id)) as work:
            if work.people.find(IdentityKind.EMAIL, "", key) is not None:
                raise EmailTaken("somebody signed up with this address before")
            enrol(work, person, identity, letter)
            if given:
                work.people.change(roles=given)
                work.events.record(PersonChanged(user_id, "roles"))
            made = Listing(
                user_id=user_id,
                name=person.name,
                email=identity.label,
                roles=given,
                created_at=work.now,
                banned_at=None,
            )
            return work.done(made)

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

    def set_roles(self, scope: Scope, user_id: UUID, roles: Sequence[PlatformRole]) -> Person:
        """The person's roles on the platform; nobody makes an administrator here. Raises
        PersonNotFound, AdminProtected."""
        given = self._given(roles)
        return self.change_roles(scope, user_id, lambda known: given)

    @retried
    def change_roles(
        self,
        scope: Scope,
        user_id: UUID,
        change: Callable[[tuple[PlatformRole, ...]], Sequence[PlatformRole]],
    ) -> Person:
        """The same, from those that the person has. Raises PersonNotFound, AdminProtected."""
        with self._person(scope, user_id) as (work, person):
            new = self._given(change(person.roles))
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
            if protected and not self.operator and PlatformRole.ADMIN in person.roles:
                raise AdminProtected("an administrator cannot do this to another")
            yield work, person

    def _given(self, roles: Sequence[PlatformRole]) -> tuple[PlatformRole, ...]:
        """Each once, in order. Raises AdminProtected."""
        if PlatformRole.ADMIN in roles and not self.operator:
            raise AdminProtected("only the command makes an administrator: finora admin grant")
        return tuple(sorted(set(roles)))

    def _end_sessions(self, work: IdentityWork, user_id: UUID, reason: str) -> None:
        for session_id in work.sessions.end_all(reason):
            work.events.record(SessionEnded(user_id, session_id, reason))


@attrs.frozen
class PeopleOperator:
    """What who runs the installation does about people, named by their addresses. Here alone
    administrators are made."""

    admin: AdminService
    """Of an operator."""
    links: Links
    site: str
    """URL that links begin with."""

    def list(self, words: str = "") -> Iterator[Listing]:
        """Everybody who signed up, oldest first, or whose name or address has the words in it."""
        cursor = None
        while True:
            page = self.admin.people(self._scope(), words=words, cursor=cursor, limit=MAX_LIMIT)
            yield from page.items
            cursor = page.next
            if cursor is None:
                return

    def grant(self, email: str, roles: Sequence[str]) -> Person:
        """Raises PersonNotFound, UnknownRole."""
        given = _read(roles)
        return self._change(email, lambda known: [*known, *given])

    def revoke(self, email: str, roles: Sequence[str]) -> Person:
        """Raises PersonNotFound, UnknownRole."""
        given = _read(roles)
        return self._change(email, lambda known: [each for each in known if each not in given])

    def unlock(self, email: str) -> Person:
        """Raises PersonNotFound."""
        return self.admin.unlock(self._scope(), self._find(email))

    def ban(self, email: str) -> Person:
        """Administrators too. Raises PersonNotFound."""
        return self.admin.ban(self._scope(), self._find(email))

    def unban(self, email: str) -> Person:
        """Raises PersonNotFound."""
        return self.admin.unban(self._scope(), self._find(email))

    def create(self, email: str, name: str = "", roles: Sequence[str] = ()) -> tuple[Listing, str]:
        """A person, and a link to set a password with, good once and for an hour. Raises
        EmailTaken, BadMailAddress, BadProfile, UnknownRole."""
        scope = self._scope()
        made = self.admin.create(scope, email, name=name, roles=_read(roles), letter=None)
        home_id = self._home(made.user_id)
        with self.admin.door.begin(scope.at(home_id, made.user_id)) as work:
            # By no letter: who runs the command hands it over.
            reset = Challenge(
                id=new_id(),
                purpose=Purpose.RESET,
                identity_id=work.people.identities()[0].id,
                expires_at=work.now + Purpose.RESET.lasts,
            )
            work.people.add_challenge(reset)
        link = self.links.write(made.user_id, home_id, reset)
        return made, f"{self.site}/reset?token={quote(link)}"

    def _scope(self) -> Scope:
        return self.admin.door.anybody(str(new_id()))

    def _find(self, email: str) -> UUID:
        with self.admin.door.begin(self._scope()) as work:
            found = work.people.find(IdentityKind.EMAIL, "", address_key(email))
        if found is None:
            raise PersonNotFound("nobody signed up with this address")
        return found.user_id

    def _home(self, user_id: UUID) -> UUID:
        with self.admin.door.begin(self._scope()) as work:
            home_id = work.people.home(user_id)
        assert home_id is not None
        return home_id

    def _change(
        self, email: str, change: Callable[[tuple[PlatformRole, ...]], Sequence[PlatformRole]]
    ) -> Person:
        return self.admin.change_roles(self._scope(), self._find(email), change)


def _read(names: Sequence[str]) -> Sequence[PlatformRole]:
    """Raises UnknownRole."""
    known = [each.value for each in PlatformRole]
    for name in names:
        if name not in known:
            raise UnknownRole(f"{name[:40]!r} is no role; there are {', '.join(known)}")
    return [PlatformRole(name) for name in names]
