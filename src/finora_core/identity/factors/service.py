"""One-time codes, passkeys, wallets, issuers and Telegram: linking them, and signing in by them.

A challenge is a signed ticket that its client holds and sends back; what proves it is spent once.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from uuid import UUID

import attrs

from finora_core.identity.factors.model import (
    CodesOffer,
    FactorUnavailable,
    Passing,
    PasskeyOffer,
    TicketInvalid,
    WalletOffer,
)
from finora_core.identity.model import TokenInvalid
from finora_core.identity.people.enrol import enrol
from finora_core.identity.people.model import (
    FactorExists,
    FactorRefused,
    Found,
    Identity,
    IdentityChanged,
    IdentityKind,
    IdentityTaken,
    Person,
    PersonChanged,
    require_person,
)
from finora_core.identity.ports import IdentityWork
from finora_core.identity.sessions.door import (
    Door,
    always,
    at_home,
    locked,
    own_session,
    place_of_codes,
)
from finora_core.identity.sessions.model import (
    Client,
    SessionKind,
    SessionProven,
    SignedIn,
)
from finora_core.identity.verifiers import (
    Issuers,
    Passkey,
    PasskeyRefused,
    Passkeys,
    Telegram,
    TelegramUser,
    Wallets,
)
from finora_core.kernel.ids import new_id
from finora_core.kernel.nonces import Nonces
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import retried

TICKET_LASTS = timedelta(minutes=5)
_NAME = "Finora"
# Clocks of one installation may differ by so much.
_SKEW = timedelta(minutes=2)
# Longer than what Telegram signed is good for.
_LAUNCH = timedelta(days=2)


@attrs.frozen
class FactorService:
    door: Door
    nonces: Nonces
    wallets: Wallets
    issuers: Issuers
    passkeys: Passkeys | None
    telegram: Telegram | None
    site: str
    """URL of the site: wallets sign for its domain."""

    # --- one-time codes ---

    def offer_codes(self, scope: Scope) -> CodesOffer:
        """A secret for an authenticator app; `turn_on_codes` keeps it. Raises FactorExists."""
        with self._home(scope) as work:
            if require_person(work.people.get()).codes is not None:
                raise FactorExists("one-time codes are on already")
            label = next(
                (e.label for e in work.people.identities() if e.kind is IdentityKind.EMAIL), "you"
            )
        secret = self.door.codes.new_secret()
        text = base64.b32encode(secret).decode().rstrip("=")
        ticket = self._ticket("codes", {"sub": str(scope.user_id), "secret": secret.hex()})
        uri = self.door.codes.uri(secret, label, _NAME)
        return CodesOffer(secret=text, uri=uri, ticket=ticket)

    @retried
    def turn_on_codes(self, scope: Scope, ticket: str, code: str) -> None:
        """From now on signing in needs a code too. Raises TicketInvalid, FactorRefused,
        FactorExists."""
        said = self._read("codes", ticket)
        if said.get("sub") != str(scope.user_id):
            raise TicketInvalid("this ticket is another person's")
        secret = bytes.fromhex(str(said["secret"]))
        with self._home(scope) as work:
            if require_person(locked(work, scope)).codes is not None:
                raise FactorExists("one-time codes are on already")
            step = self.door.codes.step(secret, code, work.now, None)
            if step is None:
                raise FactorRefused("the code is wrong: is the clock of the phone right?")
            sealed = self.door.box.seal(secret, place_of_codes(scope.user_id))
            work.people.change(codes=sealed, code_step=step)
            work.events.record(PersonChanged(scope.user_id, "codes_on"))
            work.done(None)

    @retried
    def turn_off_codes(self, scope: Scope) -> None:
        with self._home(scope) as work:
            if require_person(locked(work, scope)).codes is not None:
                work.people.change(codes=None, code_step=None)
                work.events.record(PersonChanged(scope.user_id, "codes_off"))
            work.done(None)

    # --- passkeys ---

    def offer_passkey(self, scope: Scope) -> PasskeyOffer:
        """What `navigator.credentials.create` is given."""
        challenge = secrets.token_bytes(32)
        with self._home(scope) as work:
            name = require_person(work.people.get()).name or "you"
            have = [_from_text(e.subject) for e in self._passkeys(work)]
        options = self._keys.registration(challenge, scope.user_id, name, have)
        said = {"sub": str(scope.user_id), "challenge": challenge.hex()}
        return PasskeyOffer(options=options, ticket=self._ticket("passkey-new", said))

    @retried
    def add_passkey(
        self, scope: Scope, ticket: str, response: Mapping[str, Any], label: str
    ) -> Identity:
        """Raises TicketInvalid, BadPasskey, IdentityTaken."""
        self._not_done(scope)
        said = self._read("passkey-new", ticket)
        if said.get("sub") != str(scope.user_id):
            raise TicketInvalid("this ticket is another person's")
        passkey = self._keys.register(response, bytes.fromhex(str(said["challenge"])))
        identity = Identity(
            id=new_id(),
            kind=IdentityKind.PASSKEY,
            issuer="",
            subject=_to_text(passkey.id),
            label=label,
            verified_at=self.door.clock.now(),
            data={
                "public_key": _to_text(passkey.public_key),
                "sign_count": passkey.sign_count,
                "synced": passkey.synced,
            },
        )
        self._spend(ticket)
        return self._link(scope, identity)

    def ask_passkey(self) -> PasskeyOffer:
        """What `navigator.credentials.get` is given: any passkey of this site will do."""
        challenge = secrets.token_bytes(32)
        ticket = self._ticket("passkey", {"challenge": challenge.hex()})
        return PasskeyOffer(options=self._keys.assertion(challenge, []), ticket=ticket)

    def by_passkey(
        self,
        client: Client,
        ticket: str,
        response: Mapping[str, Any],
        *,
        request_id: str,
        kind: SessionKind = SessionKind.BEARER,
    ) -> SignedIn:
        """Raises TicketInvalid, PasskeyRefused, PasskeyCloned, AccountBanned."""
        challenge, subject = self._asked(ticket, response)
        with self.door.begin(self.door.anybody(request_id)) as work:
            found = work.people.find(IdentityKind.PASSKEY, "", subject)
        if found is None:
            raise PasskeyRefused("nobody has this passkey here")
        self._spend(ticket)

        def check(work: IdentityWork, person: Person) -> None:
            self._assert(work, found.identity_id, response, challenge)

        return self.door.enter(
            found, client, kind, "passkey", request_id, strong=always, check=check
        )

    def step_up(self, scope: Scope, ticket: str, response: Mapping[str, Any]) -> None:
        """Prove again who asks, by a passkey. Raises TicketInvalid, PasskeyRefused."""
        session_id = own_session(scope)
        self._not_done(scope)
        challenge, subject = self._asked(ticket, response)
        self._spend(ticket)
        with self._home(scope) as work:
            mine = next((e for e in self._passkeys(work) if e.subject == subject), None)
            if mine is None:
                raise PasskeyRefused("this passkey is not yours")
            self._assert(work, mine.id, response, challenge)
            work.sessions.proven(session_id, work.now)
            work.events.record(SessionProven(scope.user_id, session_id, "passkey"))
            work.done(None)

    # --- wallets ---

    def offer_wallet(self, address: str, chain_id: int) -> WalletOffer:
        """The text that a wallet is to sign. Raises BadWalletAddress, BadWalletMessage."""
        nonce, now = secrets.token_hex(16), self.door.clock.now()
        message = self.wallets.message(
            domain=self._domain,
            address=self.wallets.checksum(address),
            uri=self.site,
            chain_id=chain_id,
            nonce=nonce,
            issued_at=now,
            expires_at=now + TICKET_LASTS,
            statement=f"Sign in to {_NAME}.",
        )
        return WalletOffer(message=message, ticket=self._ticket("wallet", {"nonce": nonce}))

    def by_wallet(
        self,
        client: Client,
        ticket: str,
        message: str,
        signature: str,
        *,
        request_id: str,
        code: str | None = None,
        kind: SessionKind = SessionKind.BEARER,
    ) -> SignedIn:
        """Who signs in with a wallet for the first time becomes a person by it. Raises
        TicketInvalid, WalletRefused, BadWalletMessage, AccountBanned, FactorMissing."""
        identity = self._wallet(ticket, message, signature)
        return self._enter(identity, "", client, kind, request_id, code)

    def add_wallet(self, scope: Scope, ticket: str, message: str, signature: str) -> Identity:
        """Raises TicketInvalid, WalletRefused, BadWalletMessage, IdentityTaken."""
        self._not_done(scope)
        return self._link(scope, self._wallet(ticket, message, signature))

    # --- issuers ---

    def start(self, name: str, redirect_uri: str) -> Passing:
        """Where to send the browser. Raises IssuerNotFound, IssuerUnavailable."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        url = self.issuers.start(name, redirect_uri, state, nonce, verifier)
        said = {
            "issuer": name,
            "redirect": redirect_uri,
            "state": state,
            "nonce": nonce,
            "verifier": verifier,
        }
        return Passing(url=url, ticket=self._ticket("oidc", said))

    def by_issuer(
        self,
        client: Client,
        ticket: str,
        state: str,
        code: str,
        iss: str | None,
        *,
        request_id: str,
        one_time: str | None = None,
        kind: SessionKind = SessionKind.BEARER,
    ) -> SignedIn:
        """Who signs in by an account for the first time becomes a person by it; an address that
        the issuer tells of is nobody's proof here. Raises TicketInvalid, IssuerRefused,
        IssuerUnavailable, AccountBanned, FactorMissing."""
        identity, name = self._account(ticket, state, code, iss)
        return self._enter(identity, name, client, kind, request_id, one_time)

    def add_account(
        self, scope: Scope, ticket: str, state: str, code: str, iss: str | None
    ) -> Identity:
        """Raises TicketInvalid, IssuerRefused, IssuerUnavailable, IdentityTaken."""
        self._not_done(scope)
        identity, _ = self._account(ticket, state, code, iss)
        return self._link(scope, identity)

    # --- Telegram ---

    def by_telegram(
        self,
        client: Client,
        sent: str | Mapping[str, str | int],
        *,
        request_id: str,
        code: str | None = None,
        kind: SessionKind = SessionKind.BEARER,
    ) -> SignedIn:
        """With a mini app's `initData`, as often as its launch is young, or what the login button
        gave. Raises TelegramRefused, AccountBanned, FactorMissing."""
        user = self._telegram(sent)
        return self._enter(_telegram(user), user.name, client, kind, request_id, code)

    def add_telegram(self, scope: Scope, sent: str | Mapping[str, str | int]) -> Identity:
        """What was sent is good once. Raises TelegramRefused, TicketInvalid, IdentityTaken."""
        self._not_done(scope)
        user = self._telegram(sent)
        with self._home(scope) as work:
            if any(each.kind is IdentityKind.TELEGRAM for each in work.people.identities()):
                raise IdentityTaken("another Telegram account is linked; remove it first")
        if not self.nonces.spend(user.digest, _LAUNCH):
            raise TicketInvalid("this was sent before")
        return self._link(scope, _telegram(user))

    # --- parts ---

    @property
    def _keys(self) -> Passkeys:
        if self.passkeys is None:
            raise FactorUnavailable("passkeys need FINORA_PASSKEY_RP_ID")
        return self.passkeys

    @property
    def _domain(self) -> str:
        return self.site.partition("://")[2].rstrip("/")

    def _telegram(self, sent: str | Mapping[str, str | int]) -> TelegramUser:
        if self.telegram is None:
            raise FactorUnavailable("Telegram needs FINORA_TELEGRAM_BOT_TOKEN")
        now = self.door.clock.now()
        if isinstance(sent, str):
            return self.telegram.launch(sent, now)
        return self.telegram.widget(sent, now)

    def _wallet(self, ticket: str, message: str, signature: str) -> Identity:
        said = self._read("wallet", ticket)
        now = self.door.clock.now()
        wallet = self.wallets.verify(message, signature, self._domain, now)
        if wallet.nonce != said.get("nonce"):
            raise TicketInvalid("the message has another nonce than the ticket")
        self._spend(ticket)
        return Identity(
            id=new_id(),
            kind=IdentityKind.WALLET,
            issuer="eip155",
            subject=wallet.address,
            label=wallet.address,
            verified_at=now,
        )

    def _account(self, ticket: str, state: str, code: str, iss: str | None) -> tuple[Identity, str]:
        said = {name: str(value) for name, value in self._read("oidc", ticket).items()}
        if not secrets.compare_digest(said["state"].encode(), state.encode()):
            raise TicketInvalid("this answer belongs to another sign-in")
        self._spend(ticket)
        known = self.issuers.finish(
            said["issuer"], code, said["redirect"], said["verifier"], said["nonce"], iss
        )
        identity = Identity(
            id=new_id(),
            kind=IdentityKind.OIDC,
            issuer=known.issuer,
            subject=known.subject,
            label=(known.email or known.name or said["issuer"])[:254],
            verified_at=self.door.clock.now(),
        )
        return identity, known.name or ""

    def _asked(self, ticket: str, response: Mapping[str, Any]) -> tuple[bytes, str]:
        said = self._read("passkey", ticket)
        return bytes.fromhex(str(said["challenge"])), _to_text(self._keys.identify(response))

    def _assert(
        self, work: IdentityWork, identity_id: UUID, response: Mapping[str, Any], challenge: bytes
    ) -> None:
        kept = next((e for e in self._passkeys(work) if e.id == identity_id), None)
        if kept is None:
            raise PasskeyRefused("nobody has this passkey here")
        passkey = Passkey(
            id=_from_text(kept.subject),
            public_key=_from_text(str(kept.data["public_key"])),
            sign_count=int(kept.data["sign_count"]),
            synced=bool(kept.data.get("synced")),
        )
        count = self._keys.assert_(response, challenge, passkey)
        work.people.change_identity(identity_id, data={**kept.data, "sign_count": count})

    def _passkeys(self, work: IdentityWork) -> list[Identity]:
        return [e for e in work.people.identities() if e.kind is IdentityKind.PASSKEY]

    def _enter(
        self,
        identity: Identity,
        name: str,
        client: Client,
        kind: SessionKind,
        request_id: str,
        code: str | None,
    ) -> SignedIn:
        with self.door.begin(self.door.anybody(request_id)) as work:
            found = work.people.find(identity.kind, identity.issuer, identity.subject)
        if found is None:
            found = self._enrol(identity, name, request_id)
        method = identity.kind.value
        return self.door.enter(found, client, kind, method, request_id, code=code)

    def _enrol(self, identity: Identity, name: str, request_id: str) -> Found:
        shown = "".join(each for each in name if each.isprintable())[:200].strip()
        home_id = new_id()
        person = Person(user_id=new_id(), home_id=home_id, name=shown, locale="en", currency="EUR")
        found = Found(user_id=person.user_id, home_id=home_id, identity_id=identity.id)
        with self.door.begin(self.door.scope_of(found, request_id)) as work:
            enrol(work, person, identity)
        return found

    def _not_done(self, scope: Scope) -> None:
        """A repeat gets the first answer: it would find its ticket spent. Raises Replayed."""
        with self._home(scope):
            pass

    @retried
    def _link(self, scope: Scope, identity: Identity) -> Identity:
        with self._home(scope) as work:
            require_person(locked(work, scope))
            work.people.add_identity(identity)
            linked = IdentityChanged(scope.user_id, identity.id, identity.kind, "linked")
            work.events.record(linked)
            return work.done(attrs.evolve(identity, created_at=work.now))

    def _ticket(self, kind: str, said: Mapping[str, str | int]) -> str:
        now = self.door.clock.now()
        marked = {**said, "jti": secrets.token_hex(16)}
        return self.door.tokens.sign(kind, marked, expires_at=now + TICKET_LASTS, issued_at=now)

    def _read(self, kind: str, ticket: str) -> Mapping[str, str | int]:
        try:
            return self.door.tokens.read(kind, ticket, self.door.clock.now())
        except TokenInvalid as error:
            raise TicketInvalid("this ticket is none of ours, or its time has run out") from error

    def _spend(self, ticket: str) -> None:
        digest = hashlib.sha256(ticket.encode()).digest()
        if not self.nonces.spend(digest, TICKET_LASTS + _SKEW):
            raise TicketInvalid("this ticket was used before")

    def _home(self, scope: Scope) -> AbstractContextManager[IdentityWork]:
        return self.door.begin(at_home(scope))


def _telegram(user: TelegramUser) -> Identity:
    return Identity(
        id=new_id(),
        kind=IdentityKind.TELEGRAM,
        issuer="telegram",
        subject=str(user.id),
        label=(user.username or user.name or str(user.id))[:254],
        verified_at=None,
    )


def _to_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _from_text(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
