"""Signing in with a password, staying signed in, and the end of it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from uuid import UUID

import attrs

from finora_core.identity.model import Proof, TokenInvalid
from finora_core.identity.people.letters import Letters, take, unproven
from finora_core.identity.people.model import (
    AccountBanned,
    FactorRefused,
    Found,
    IdentityKind,
    Person,
    Purpose,
)
from finora_core.identity.ports import IdentityWork
from finora_core.identity.roles import of_person
from finora_core.identity.sessions.door import (
    ACCESS,
    Door,
    asking,
    at_home,
    digest,
    mark,
    own_session,
    require_unlocked,
)
from finora_core.identity.sessions.model import (
    IDLE_LASTS,
    RENEW_EVERY,
    Client,
    CredentialsInvalid,
    RefreshInvalid,
    RefreshReused,
    Session,
    SessionEnded,
    SessionKind,
    SessionNotFound,
    SessionProven,
    SignedIn,
    SignInFailed,
    Turn,
    turn,
)
from finora_core.identity.tenants.model import NotAMember
from finora_core.identity.verifiers import Passwords, admitted, normalised
from finora_core.kernel.scope import Scope, SessionCredential
from finora_core.kernel.work import retried
from finora_core.mail.model import address_key


@attrs.frozen
class SessionService:
    door: Door
    letters: Letters
    passwords: Passwords
    proof_first: bool
    """Whether a password is good for nothing before its address is proven."""

    @admitted
    def sign_in(
        self,
        client: Client,
        email: str,
        password: str,
        *,
        request_id: str,
        code: str | None = None,
        kind: SessionKind = SessionKind.BEARER,
    ) -> SignedIn:
        """With an address and its password. Whether the address or the password was wrong is not
        told, nor shown by how long it takes. Raises CredentialsInvalid, AccountLocked,
        AccountBanned, FactorMissing, FactorRefused, LoginBusy."""
        subject, found, person = self._look_up(client, email, request_id)
        kept = None if person is None else person.password
        if not self.passwords.verify(kept, password):
            self._count(subject, found, request_id)
            raise CredentialsInvalid(self._wrong)
        assert found is not None and kept is not None
        better = None
        if self.passwords.outdated(kept):
            better = self.passwords.hash(normalised(password))

        def check(work: IdentityWork, person: Person) -> None:
            if person.password != kept:
                raise CredentialsInvalid(self._wrong)
            # Of guesses that are checked at the same moment none was counted when they were let in.
            require_unlocked(work.guesses.standing(subject), work.now)

        def settle(work: IdentityWork, person: Person) -> None:
            work.guesses.right(subject)
            if better is not None:
                work.people.change(password=better)

        return self.door.enter(
            found,
            client,
            kind,
            "password",
            request_id,
            code=code,
            check=check,
            settle=settle,
            about={"subject": subject.hex()},
        )

    def finish(
        self,
        client: Client,
        ticket: str,
        code: str,
        *,
        request_id: str,
        kind: SessionKind = SessionKind.BEARER,
    ) -> SignedIn:
        """Go on where FactorMissing stopped, with its ticket and the one-time code. Raises
        CredentialsInvalid, LinkInvalid, AccountBanned, FactorRefused, AccountLocked."""
        half = self.door.half(ticket)

        def check(work: IdentityWork, person: Person) -> None:
            known = any(e.id == half.found.identity_id for e in work.people.identities())
            if not known or mark(person.password) != half.password:
                raise CredentialsInvalid("something changed meanwhile: sign in again")

        def settle(work: IdentityWork, person: Person) -> None:
            if "challenge" in half.about:
                purpose = Purpose(half.about["for"])
                take(work, person.user_id, UUID(half.about["challenge"]), purpose)
            if "subject" in half.about:
                subject = bytes.fromhex(half.about["subject"])
                require_unlocked(work.guesses.standing(subject), work.now)
                work.guesses.right(subject)

        return self.door.enter(
            half.found,
            client,
            kind,
            half.method,
            request_id,
            code=code,
            check=check,
            settle=settle,
            about=half.about,
        )

    def by_link(
        self,
        client: Client,
        link: str,
        *,
        request_id: str,
        code: str | None = None,
        kind: SessionKind = SessionKind.BEARER,
    ) -> SignedIn:
        """With the link of a letter. Raises LinkInvalid, AccountBanned, FactorMissing,
        FactorRefused."""
        said = self.letters.by_link(link, Purpose.MAGIC)

        def settle(work: IdentityWork, person: Person) -> None:
            take(work, person.user_id, said.challenge_id, Purpose.MAGIC)

        return self.door.enter(
            said.found,
            client,
            kind,
            "magic",
            request_id,
            code=code,
            # One-time codes of whoever signed up with another's address are nobody's proof.
            strong=lambda work: unproven(work, said.identity_id),
            settle=settle,
            about={"challenge": str(said.challenge_id), "for": Purpose.MAGIC.value},
        )

    def by_code(
        self,
        client: Client,
        email: str,
        sent: str,
        *,
        request_id: str,
        code: str | None = None,
        kind: SessionKind = SessionKind.BEARER,
    ) -> SignedIn:
        """With the six digits of a letter; `code` is the one-time code beside it. Raises
        LinkInvalid, AccountBanned, FactorMissing, FactorRefused."""
        found, made = self.letters.by_code(email, sent, Purpose.CODE, request_id=request_id)

        def settle(work: IdentityWork, person: Person) -> None:
            take(work, person.user_id, made.id, Purpose.CODE)

        return self.door.enter(
            found,
            client,
            kind,
            "code",
            request_id,
            code=code,
            strong=lambda work: unproven(work, found.identity_id),
            settle=settle,
            about={"challenge": str(made.id), "for": Purpose.CODE.value},
        )

    def refresh(self, client: Client, text: str, *, request_id: str) -> SignedIn:
        """New tokens for a refresh token, which is good once; for ten seconds more it gives the
        same again, for a reply may be lost. Raises RefreshInvalid, RefreshReused, AccountBanned."""
        try:
            said = self.door.tokens.read("refresh", text, self.door.clock.now())
            user_id, session_id, home_id = (UUID(str(said[name])) for name in ("sub", "sid", "tid"))
            generation = int(said["gen"])
        except (TokenInvalid, KeyError, ValueError) as error:
            raise RefreshInvalid("sign in again") from error
        scope = Scope(tenant_id=home_id, user_id=user_id, request_id=request_id)
        with self.door.begin(scope) as work:
            session = work.sessions.locked(session_id)
            if session is None:
                raise RefreshInvalid("sign in again")
            person = work.people.get()
            if person is None or person.banned_at is not None:
                raise AccountBanned("an administrator closed this account")
            worth = turn(session, generation, session.is_of(client), work.now)
            match worth:
                case Turn.ROTATE:
                    session = session.rotated(client, work.now)
                    work.sessions.rotate(session)
                case Turn.REPEAT:
                    pass
                case Turn.REUSED:
                    work.sessions.end(session_id, "reused")
                    work.events.record(SessionEnded(user_id, session_id, "reused"))
                case Turn.ENDED:
                    raise RefreshInvalid("sign in again")
        if worth is Turn.REUSED:
            raise RefreshReused("this token was used before; the session was ended: sign in again")
        return self.door.tokens_of(session, home_id, None)

    def prove(
        self,
        text: str,
        request_id: str,
        *,
        tenant_id: UUID | None = None,
        kind: SessionKind = SessionKind.BEARER,
    ) -> Proof:
        """Who asks with this access token (or browser's cookie), in that tenant or else in the
        personal one. Raises TokenInvalid, NotAMember, AccountBanned."""
        now = self.door.clock.now()
        said = self.door.tokens.read(ACCESS[kind], text, now)
        try:
            user_id, session_id, home_id = (UUID(str(said[name])) for name in ("sub", "sid", "tid"))
        except (KeyError, ValueError) as error:
            raise TokenInvalid("this is not a token") from error
        tenant_id = tenant_id or home_id
        asked = Scope(tenant_id=tenant_id, user_id=user_id, request_id=request_id)
        versions = {}
        if tenant_id != home_id:
            # Before all else: what is read after a version is at least as new as it.
            with self.door.begin(attrs.evolve(asked, tenant_id=home_id)) as work:
                versions[home_id] = work.version()
        with self.door.begin(asked) as work:
            versions[tenant_id] = work.version()
            session, person = work.sessions.get(session_id), work.people.get()
            role = work.members.role(user_id)
            if session is None or not session.alive(work.now):
                raise TokenInvalid("this session has ended: sign in again")
            if person is None or person.banned_at is not None:
                raise AccountBanned("an administrator closed this account")
            if session.kind is SessionKind.BROWSER and work.now > session.seen_at + RENEW_EVERY:
                work.sessions.seen(session_id, work.now)
                session = attrs.evolve(session, seen_at=work.now)
        if role is None and tenant_id != home_id:
            raise NotAMember("you are no member of this tenant")
        credential = SessionCredential(
            session_id=session_id,
            role="" if role is None else role.value,
            platform=",".join(sorted(each.value for each in person.roles)),
            home_id=home_id,
        )
        scope = attrs.evolve(
            asked,
            permissions=of_person(role, person.roles),
            credential=credential,
            proven_at=session.proven_at,
        )
        ends = min(session.ends_at, session.seen_at + IDLE_LASTS)
        if session.kind is SessionKind.BROWSER:
            # Whoever remembers the proof must come back in time for the renewal.
            ends = min(ends, session.seen_at + RENEW_EVERY)
        left = min(datetime.fromtimestamp(int(said["exp"]), UTC), ends) - now
        return Proof(scope=scope, versions=versions, left=left)

    def sign_out(self, scope: Scope) -> None:
        """End the session that asks. Raises SessionNotFound for who is in none."""
        self.end(scope, own_session(scope))

    def list(self, scope: Scope) -> Sequence[Session]:
        """The asker's sessions that have not ended, newest first."""
        with self._home(scope) as work:
            return [each for each in work.sessions.list() if each.alive(work.now)]

    @retried
    def end(self, scope: Scope, session_id: UUID) -> None:
        """From its commit on none of the session's tokens is good. Twice is once. Raises
        SessionNotFound."""
        with self._home(scope) as work:
            if work.sessions.get(session_id) is None:
                raise SessionNotFound(f"no session {session_id}")
            reason = "signed_out" if session_id == asking(scope) else "revoked"
            if work.sessions.end(session_id, reason):
                work.events.record(SessionEnded(scope.user_id, session_id, reason))
            work.done(None)

    @retried
    def end_others(self, scope: Scope) -> int:
        """All of the asker's sessions but the one that asks; how many there were."""
        with self._home(scope) as work:
            ended = work.sessions.end_all("revoked", but=asking(scope))
            for session_id in ended:
                work.events.record(SessionEnded(scope.user_id, session_id, "revoked"))
            return work.done(len(ended))

    def step_up(
        self, scope: Scope, *, password: str | None = None, code: str | None = None
    ) -> None:
        """Prove again who asks, by password, or by one-time code where they are on: what is
        dangerous asks for a proof of the last five minutes. Raises CredentialsInvalid,
        FactorRefused, AccountLocked, SessionNotFound."""
        session_id = own_session(scope)
        with self._home(scope) as work:
            person = work.people.get()
            assert person is not None
            subject = digest("step-up", str(scope.user_id))
            require_unlocked(work.guesses.standing(subject), work.now)
        if password is not None:
            right = self.passwords.verify(person.password, password)
        else:
            right = False
        with self._home(scope) as work:
            if password is None and code is not None and person.codes is not None:
                right = self.door.is_code(work, code)
            if right:
                require_unlocked(work.guesses.standing(subject), work.now)
                work.guesses.right(subject)
                work.sessions.proven(session_id, work.now)
                method = "password" if password is not None else "code"
                work.events.record(SessionProven(scope.user_id, session_id, method))
                work.done(None)
            else:
                # Counted, and so committed; but a repeat of the request must not find it done.
                standing = work.guesses.wrong(subject)
                failed = SignInFailed(scope.user_id, standing.just_locked, "step-up")
                work.events.record(failed)
        if not right:
            if password is None:
                raise FactorRefused("the one-time code is wrong, or was used before")
            raise CredentialsInvalid("the password is wrong")

    @property
    def _wrong(self) -> str:
        # Always the same, so it tells of nobody.
        more = ", or the address was not confirmed yet: look for its letter"
        return "the e-mail address or the password is wrong" + (more if self.proof_first else "")

    def _look_up(
        self, client: Client, email: str, request_id: str
    ) -> tuple[bytes, Found | None, Person | None]:
        """What wrong guesses are counted under, and who it is; the same steps for nobody."""
        key = address_key(email)
        device = self.door.device_of(client)
        anybody = self.door.anybody(request_id)
        with self.door.begin(anybody) as work:
            found = work.people.find(IdentityKind.EMAIL, "", key)
            known = found is not None and device is not None and device[0] == found.user_id
            # Strangers' guesses do not lock out whom the device knows; those on known devices do.
            subject = digest("email", key)
            if known and found is not None:
                subject = digest("devices", str(found.user_id))
            require_unlocked(work.guesses.standing(subject), work.now)
        scope = anybody if found is None else self.door.scope_of(found, request_id)
        with self.door.begin(scope) as work:
            person = work.people.get()
            early = self.proof_first and (found is None or unproven(work, found.identity_id))
        return subject, found, person if found is not None and not early else None

    def _count(self, subject: bytes, found: Found | None, request_id: str) -> None:
        anybody = self.door.anybody(request_id)
        scope = anybody if found is None else self.door.scope_of(found, request_id)
        with self.door.begin(scope) as work:
            standing = work.guesses.wrong(subject)
            user_id = None if found is None else found.user_id
            work.events.record(SignInFailed(user_id, standing.just_locked))
            now = work.now
        if not standing.just_locked:
            # It was locked while this was checked: a right password would be told the same.
            require_unlocked(standing, now)

    def _home(self, scope: Scope) -> AbstractContextManager[IdentityWork]:
        return self.door.begin(at_home(scope))
