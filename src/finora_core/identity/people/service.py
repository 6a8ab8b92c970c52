"""Signing up, and what a person changes about the person."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

import attrs

from finora_core.identity.people.enrol import enrol
from finora_core.identity.people.letters import Letters, forget_guesses, good, send, take
from finora_core.identity.people.model import (
    CODE_TRIES,
    EmailTaken,
    Identity,
    IdentityChanged,
    IdentityKind,
    IdentityNotFound,
    LastIdentity,
    LinkInvalid,
    Person,
    PersonChanged,
    Preferences,
    Purpose,
    require_person,
    with_preferences,
)
from finora_core.identity.ports import IdentityWork
from finora_core.identity.sessions.door import Door, at_home, locked, own_session
from finora_core.identity.sessions.model import CredentialsInvalid, SessionEnded, SignInFailed
from finora_core.identity.verifiers import Passwords, admitted, check_password
from finora_core.kernel.ids import new_id
from finora_core.kernel.plain import canonical
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import retried
from finora_core.mail.model import address_key


@attrs.frozen(kw_only=True)
class Profile:
    person: Person
    identities: tuple[Identity, ...]

    @property
    def email(self) -> Identity | None:
        """The address that letters go to."""
        mails = [each for each in self.identities if each.kind is IdentityKind.EMAIL]
        return min(mails, key=lambda each: each.verified_at is None, default=None)


@attrs.frozen
class PeopleService:
    door: Door
    letters: Letters
    passwords: Passwords
    proof_first: bool
    """Whether nobody signs in before the address is proven, nor learns whether it was taken."""

    @admitted
    def register(
        self,
        email: str,
        password: str,
        name: str,
        *,
        request_id: str,
        locale: str = "en",
        currency: str = "EUR",
    ) -> Profile:
        """A new person with a personal tenant; a link to verify the address is sent. With
        `proof_first`, whose address is taken gets a link to sign in with, and who asks the same
        answer. Raises EmailTaken, BadMailAddress, PasswordWeak, BadProfile, LoginBusy."""
        key = address_key(email)
        kept = self.passwords.hash(check_password(password, email))
        person = Person(
            user_id=new_id(),
            home_id=new_id(),
            name=name.strip(),
            locale=locale,
            currency=currency,
            password=kept,
        )
        identity = Identity(
            id=new_id(),
            kind=IdentityKind.EMAIL,
            issuer="",
            subject=key,
            label=email.strip(),
            verified_at=None,
        )
        assert person.home_id is not None
        scope = Scope(tenant_id=person.home_id, user_id=person.user_id, request_id=request_id)
        try:
            with self.door.begin(scope) as work:
                enrol(work, person, identity)
        except EmailTaken:
            if not self.proof_first:
                raise
            self.letters.ask(email, Purpose.MAGIC, request_id=request_id)
        return Profile(person=person, identities=(identity,))

    def profile(self, scope: Scope) -> Profile:
        """Who asks. Raises PersonNotFound for a host's own user."""
        with self._home(scope) as work:
            return _profile(work)

    @retried
    def change(
        self,
        scope: Scope,
        *,
        name: str | None = None,
        locale: str | None = None,
        currency: str | None = None,
    ) -> Profile:
        """Raises BadProfile, PersonNotFound."""
        said = {"name": name, "locale": locale, "currency": currency}
        given: dict[str, Any] = {key: value for key, value in said.items() if value is not None}
        with self._home(scope) as work:
            found = _profile(work)
            changed = attrs.evolve(found.person, **given)
            if changed != found.person:
                work.people.change(**given)
                work.events.record(PersonChanged(scope.user_id, "profile"))
            return work.done(attrs.evolve(found, person=changed))

    def preferences(self, scope: Scope) -> Preferences:
        """Of who asks. Raises PersonNotFound."""
        with self._home(scope) as work:
            return require_person(work.people.get()).preferences

    @retried
    def change_preferences(self, scope: Scope, change: Mapping[str, object]) -> Preferences:
        """What is not named stays, None takes one away. Raises BadPreferences, PersonNotFound."""
        with self._home(scope) as work:
            # Locked: of two changes at once neither is lost.
            known = require_person(work.people.get(lock=True)).preferences
            changed = with_preferences(known, change)
            # As text: a truth value equals its number.
            if canonical(changed) != canonical(known):
                work.people.change(preferences=changed)
                work.events.record(PersonChanged(scope.user_id, "preferences"))
            return work.done(changed)

    @admitted
    def set_password(self, scope: Scope, password: str) -> None:
        """Another password; every other session of the person ends. Raises PasswordWeak,
        PersonNotFound, LoginBusy."""
        with self._home(scope) as work:
            email = _profile(work).email
        kept = self.passwords.hash(check_password(password, None if email is None else email.label))
        with self._home(scope) as work:
            locked(work, scope)
            self._set_password(work, scope.user_id, kept, but=own_session(scope))
            work.done(None)

    # --- by letter ---

    def ask_again(self, scope: Scope) -> None:
        """Send the link that verifies the asker's address once more. Raises IdentityNotFound where
        none is to be verified."""
        with self._home(scope) as work:
            email = _profile(work).email
            if email is None or email.verified_at is not None:
                raise IdentityNotFound("there is no address to verify")
            send(work, scope.user_id, email.id, Purpose.VERIFY)
            work.done(None)

    @admitted
    def verify(self, link: str, password: str, *, request_id: str) -> None:
        """The address is its person's: whoever has the letter knows the password too. Once, with
        at most five wrong passwords. Raises LinkInvalid, CredentialsInvalid, LoginBusy."""
        said = self.letters.by_link(link, Purpose.VERIFY)
        scope = Scope(tenant_id=said.home_id, user_id=said.user_id, request_id=request_id)
        with self.door.begin(scope) as work:
            self._tried(work, said.challenge_id)
            person = work.people.get()
        kept = None if person is None else person.password
        right = self.passwords.verify(kept, password)
        with self.door.begin(scope) as work:
            person = work.people.get(lock=True)
            self._tried(work, said.challenge_id)
            right = right and person is not None and person.password == kept
            if right:
                take(work, said.user_id, said.challenge_id, Purpose.VERIFY)
            else:
                # The wrong guess is committed.
                work.people.count_try(said.challenge_id)
                work.events.record(SignInFailed(said.user_id, False, "verify"))
        if not right:
            raise CredentialsInvalid(
                "this is not the password that was chosen when somebody signed up with the address"
            )

    def _tried(self, work: IdentityWork, challenge_id: UUID) -> None:
        if good(work, challenge_id, Purpose.VERIFY).tries >= CODE_TRIES:
            raise LinkInvalid("too many wrong passwords were tried with this link")

    @admitted
    def reset(
        self,
        password: str,
        *,
        request_id: str,
        link: str | None = None,
        email: str | None = None,
        code: str | None = None,
    ) -> None:
        """Set a password by a link, or by an address and its code; every session of the person
        ends. Raises LinkInvalid, PasswordWeak, LoginBusy."""
        kept = self.passwords.hash(check_password(password, email))
        if link is not None:
            said = self.letters.by_link(link, Purpose.RESET)
            scope = Scope(tenant_id=said.home_id, user_id=said.user_id, request_id=request_id)
            with self.door.begin(scope) as work:
                self._reset(work, said.user_id, kept, said.challenge_id)
            return
        found, made = self.letters.by_code(
            email or "", code or "", Purpose.RESET, request_id=request_id
        )
        with self.door.begin(self.door.scope_of(found, request_id)) as work:
            self._reset(work, found.user_id, kept, made.id)

    # --- identities ---

    def identities(self, scope: Scope) -> Sequence[Identity]:
        """By what the asker is known."""
        with self._home(scope) as work:
            return work.people.identities()

    @retried
    def remove(self, scope: Scope, identity_id: UUID) -> None:
        """Nobody signs in by it from now on. Raises IdentityNotFound, LastIdentity."""
        with self._home(scope) as work:
            person = work.people.get(lock=True)
            found = work.people.identities()
            gone = next((each for each in found if each.id == identity_id), None)
            if gone is None or person is None:
                raise IdentityNotFound(f"no identity {identity_id}")
            left = [each for each in found if each.id != identity_id]
            mails = [each for each in left if each.kind is IdentityKind.EMAIL]
            # An address without a password still opens by a letter, if it is verified.
            if not any(each.kind is not IdentityKind.EMAIL for each in left) and not any(
                each.verified_at is not None or person.password for each in mails
            ):
                raise LastIdentity("without it nobody could sign in to this account any more")
            work.people.remove_identity(identity_id)
            work.events.record(IdentityChanged(scope.user_id, gone.id, gone.kind, "removed"))
            work.done(None)

    def _reset(self, work: IdentityWork, user_id: UUID, kept: str, challenge_id: UUID) -> None:
        work.people.get(lock=True)
        take(work, user_id, challenge_id, Purpose.RESET)
        self._set_password(work, user_id, kept)
        forget_guesses(work, user_id)

    def _set_password(
        self, work: IdentityWork, user_id: UUID, kept: str, but: UUID | None = None
    ) -> None:
        work.people.change(password=kept)
        # Whoever has an older letter must not come in by it afterwards.
        work.people.use_challenges()
        for session_id in work.sessions.end_all("password", but=but):
            work.events.record(SessionEnded(user_id, session_id, "password"))
        work.events.record(PersonChanged(user_id, "password"))

    def _home(self, scope: Scope) -> AbstractContextManager[IdentityWork]:
        return self.door.begin(at_home(scope))


def _profile(work: IdentityWork) -> Profile:
    person = require_person(work.people.get())
    return Profile(person=person, identities=tuple(work.people.identities()))
