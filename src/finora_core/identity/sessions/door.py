"""The one way in: whoever proved who they are, by whatever means, gets a session here."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

import attrs

from finora_core.identity.model import ProofStale, TokenInvalid
from finora_core.identity.people.model import (
    AccountBanned,
    FactorMissing,
    FactorRefused,
    Found,
    Person,
)
from finora_core.identity.ports import Box, IdentityWork
from finora_core.identity.sessions.model import (
    ACCESS_LASTS,
    DEVICE_LASTS,
    IDLE_LASTS,
    SESSION_LASTS,
    AccountLocked,
    Client,
    CredentialsInvalid,
    ProofInvalid,
    Session,
    SessionKind,
    SessionNotFound,
    SessionOpened,
    SignedIn,
    SignInFailed,
    Standing,
)
from finora_core.identity.verifiers import OneTimeCodes, Tokens
from finora_core.kernel.clock import Clock
from finora_core.kernel.ids import new_id
from finora_core.kernel.scope import Scope, SessionCredential
from finora_core.kernel.work import Begin

ACCESS = {SessionKind.BEARER: "access", SessionKind.BROWSER: "browser"}
"""Kinds of the tokens that a session's requests carry."""

HALF_LASTS = timedelta(minutes=5)

Check = Callable[[IdentityWork, Person], None]
Strong = Callable[[IdentityWork], bool]


def nothing(work: IdentityWork, person: Person) -> None: ...


def always(work: IdentityWork) -> bool:
    return True


def never(work: IdentityWork) -> bool:
    return False


@attrs.frozen(kw_only=True)
class Half:
    """What a ticket says of somebody who proved everything but the one-time code."""

    found: Found
    method: str
    password: str
    """Digest of what was kept of the password then."""
    about: Mapping[str, str]


@attrs.frozen
class Door:
    begin: Begin[IdentityWork]
    tokens: Tokens
    codes: OneTimeCodes
    box: Box
    clock: Clock
    platform: Callable[[], Scope]
    """For what happens before anybody is known; of the database, which may be away at first."""

    def anybody(self, request_id: str) -> Scope:
        return attrs.evolve(self.platform(), request_id=request_id)

    def scope_of(self, found: Found, request_id: str) -> Scope:
        return Scope(tenant_id=found.home_id, user_id=found.user_id, request_id=request_id)

    def enter(
        self,
        found: Found,
        client: Client,
        kind: SessionKind,
        method: str,
        request_id: str,
        *,
        code: str | None = None,
        strong: Strong = never,
        check: Check = nothing,
        settle: Check = nothing,
        about: Mapping[str, str] | None = None,
    ) -> SignedIn:
        """Open a session. `check` is run first, in the same transaction, on the locked person;
        `settle` when all is proven. `strong`: whether what was proven needs no one-time code
        beside it. Raises AccountBanned, FactorMissing (its fact `ticket`, with `about` in it, is
        for whoever goes on with the code alone), FactorRefused, AccountLocked, ProofInvalid."""
        with self.begin(self.scope_of(found, request_id)) as work:
            person = work.people.get(lock=True)
            if person is None or person.erased_at is not None:
                # Found a moment ago, and forgotten since.
                raise ProofInvalid("nobody is known by this")
            check(work, person)
            if person.banned_at is not None:
                raise AccountBanned("an administrator closed this account")
            now, alone = work.now, strong(work)
            missing = person.codes is not None and code is None and not alone
            right = not missing and (alone or self._code(work, person, code))
            if right:
                settle(work, person)
                session, known = self._open(work, found, client, kind, method)
        # Not in the transaction: the signing key may have to be read, on another connection.
        if missing:
            ticket = self._half(person, found, method, about or {}, now)
            raise FactorMissing(
                "send the one-time code too",
                details=(("ticket", ticket),),
                facts={"ticket": ticket},
            )
        if not right:
            # The wrong guess is counted, and so committed.
            raise FactorRefused("the one-time code is wrong, or was used before")
        device = None if known else self._device(found, session.created_at)
        return self.tokens_of(session, found.home_id, device)

    def half(self, ticket: str) -> Half:
        """Raises CredentialsInvalid."""
        try:
            said = {n: str(v) for n, v in self._read("half", ticket).items()}
            found = Found(
                user_id=UUID(said["sub"]), home_id=UUID(said["tid"]), identity_id=UUID(said["iid"])
            )
            return Half(found=found, method=said["by"], password=said["pwd"], about=said)
        except (TokenInvalid, KeyError, ValueError) as error:
            raise CredentialsInvalid("this took too long: sign in again") from error

    def tokens_of(self, session: Session, home_id: UUID, device: str | None) -> SignedIn:
        """The session's tokens at its present generation: the same each time they are made."""
        who = {"sub": str(session.user_id), "sid": str(session.id), "tid": str(home_id)}
        begun = session.rotated_at
        if session.kind is SessionKind.BROWSER:
            ends = session.ends_at
            access = self.tokens.sign(ACCESS[session.kind], who, expires_at=ends, issued_at=begun)
            refresh = None
        else:
            ends = min(begun + ACCESS_LASTS, session.ends_at)
            said = who | {"userId": who["sub"], "role": "owner"}
            access = self.tokens.sign(ACCESS[session.kind], said, expires_at=ends, issued_at=begun)
            refresh = self.tokens.sign(
                "refresh",
                who | {"gen": session.generation},
                expires_at=min(begun + IDLE_LASTS, session.ends_at),
                issued_at=begun,
            )
        return SignedIn(
            user_id=session.user_id,
            session_id=session.id,
            tenant_id=home_id,
            access=access,
            refresh=refresh,
            device=device,
            expires_at=ends,
        )

    def device_of(self, client: Client) -> tuple[UUID, str] | None:
        """Whose device it is that signed in before, and which."""
        if client.device is None:
            return None
        try:
            said = self._read("device", client.device)
            return UUID(str(said["sub"])), str(said["did"])
        except (TokenInvalid, KeyError, ValueError):
            return None

    def is_code(self, work: IdentityWork, code: str) -> bool:
        """Whether it is the person's one-time code; it is used up by that. Raises
        AccountLocked."""
        person = work.people.get(lock=True)
        return person is not None and person.codes is not None and self._code(work, person, code)

    def _half(
        self, person: Person, found: Found, method: str, about: Mapping[str, str], now: datetime
    ) -> str:
        said = {
            "sub": str(found.user_id),
            "tid": str(found.home_id),
            "iid": str(found.identity_id),
            "by": method,
            "pwd": mark(person.password),
        }
        return self.tokens.sign(
            "half", {**about, **said}, expires_at=now + HALF_LASTS, issued_at=now
        )

    def _read(self, kind: str, text: str) -> Mapping[str, str | int]:
        return self.tokens.read(kind, text, self.clock.now())

    def _code(self, work: IdentityWork, person: Person, code: str | None) -> bool:
        """Whether the one-time code is right, if the person has them on."""
        if person.codes is None:
            return True
        if code is None:
            raise FactorMissing("send the one-time code too")
        subject = digest("codes", str(person.user_id))
        require_unlocked(work.guesses.standing(subject), work.now)
        secret = self.box.open(person.codes, place_of_codes(person.user_id))
        step = self.codes.step(secret, code, work.now, person.code_step)
        if step is None:
            standing = work.guesses.wrong(subject)
            failed = SignInFailed(person.user_id, standing.just_locked, "one-time code")
            work.events.record(failed)
            return False
        work.people.change(code_step=step)
        work.guesses.right(subject)
        return True

    def _open(
        self, work: IdentityWork, found: Found, client: Client, kind: SessionKind, method: str
    ) -> tuple[Session, bool]:
        """The session, and whether its device signed in before."""
        now = work.now
        session = Session(
            id=new_id(),
            user_id=found.user_id,
            kind=kind,
            method=method,
            agent=client.agent[:200],
            network=client.network,
            created_at=now,
            seen_at=now,
            ends_at=now + SESSION_LASTS,
            proven_at=now,
            generation=0,
            rotated_at=now,
        )
        # What it was proven by may have been taken away while the person was waited for.
        if not work.people.change_identity(found.identity_id, used_at=now):
            raise ProofInvalid("nobody is known by this any more")
        work.sessions.add(session)
        device = self.device_of(client)
        known = device is not None and device[0] == found.user_id
        work.events.record(SessionOpened(found.user_id, session.id, method, known))
        return session, known

    def _device(self, found: Found, now: datetime) -> str:
        said = {"sub": str(found.user_id), "did": str(new_id())}
        return self.tokens.sign("device", said, expires_at=now + DEVICE_LASTS, issued_at=now)


def at_home(scope: Scope) -> Scope:
    """The asker in the personal tenant, where what is about the person is written: its data version
    tells everybody that something changed."""
    credential = scope.credential
    if not isinstance(credential, SessionCredential) or credential.home_id == scope.tenant_id:
        return scope
    return scope.at(credential.home_id, scope.user_id)


def asking(scope: Scope) -> UUID | None:
    """The session that asks, if one does."""
    credential = scope.credential
    return credential.session_id if isinstance(credential, SessionCredential) else None


def own_session(scope: Scope) -> UUID:
    """The session that asks. Raises SessionNotFound."""
    own = asking(scope)
    if own is None:
        raise SessionNotFound("who asks is in no session")
    return own


def locked(work: IdentityWork, scope: Scope) -> Person | None:
    """The person of the transaction, whom nobody else changes until its end. Raises ProofStale
    where the session that asks was ended while that was waited for."""
    person = work.people.get(lock=True)
    own = asking(scope)
    if own is not None:
        session = work.sessions.get(own)
        if session is None or not session.alive(work.now):
            raise ProofStale("this session has ended: sign in again")
    return person


def digest(kind: str, text: str) -> bytes:
    """What guesses are counted under."""
    return hashlib.sha256(f"{kind}\n{text}".encode()).digest()


def mark(password: str | None) -> str:
    """Tells whether what is kept of a password is still the same."""
    return digest("password", password or "").hex()


def place_of_codes(user_id: UUID) -> bytes:
    return f"one-time codes of {user_id}".encode()


def require_unlocked(standing: Standing, now: datetime) -> None:
    """Raise AccountLocked."""
    until = standing.locked_until
    if until is not None and until > now:
        left = int((until - now).total_seconds()) + 1
        raise AccountLocked(
            "too many wrong guesses; wait, or set a new password", facts={"retry_after": left}
        )
