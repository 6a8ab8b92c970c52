"""Links and codes that were sent: asking for one, and what it proves, once.

Anybody can sign up with anybody's address. So what a letter proves first ends all that was set
before it, unless who has the letter shows the password of the registration too.
"""

from datetime import datetime
from uuid import UUID

import attrs

from finora_core.identity.model import TokenRevoked
from finora_core.identity.people.enrol import challenge
from finora_core.identity.people.links import Link, Links
from finora_core.identity.people.model import (
    CODE_TRIES,
    Challenge,
    Found,
    IdentityChanged,
    IdentityKind,
    LetterAsked,
    LinkInvalid,
    PersonChanged,
    Purpose,
)
from finora_core.identity.ports import IdentityWork
from finora_core.identity.sessions.door import Door, digest, require_unlocked
from finora_core.identity.sessions.model import SessionEnded, SignInFailed
from finora_core.kernel.ids import new_id
from finora_core.mail.model import address_key

_AGAIN_S = 60
"""Between two letters of a kind to one person."""


@attrs.frozen
class Letters:
    door: Door
    links: Links

    def ask(self, email: str, purpose: Purpose, *, request_id: str) -> None:
        """Send a link or code to the address, if somebody has it, and not too often; who asks
        learns nothing of that, nor from how long it takes: a job does what differs."""
        anybody = self.door.anybody(request_id)
        with self.door.begin(anybody) as work:
            found = work.people.find(IdentityKind.EMAIL, "", address_key(email))
        scope = anybody if found is None else self.door.scope_of(found, request_id)
        user_id, identity_id = (found.user_id, found.identity_id) if found else (None, None)
        with self.door.begin(scope) as work:
            work.events.record(LetterAsked(user_id, identity_id, purpose))

    def by_link(self, link: str, purpose: Purpose) -> Link:
        """What the link says; `take` uses it up. Raises LinkInvalid."""
        return self.links.read(link, purpose, self.door.clock.now())

    def by_code(
        self, email: str, code: str, purpose: Purpose, *, request_id: str
    ) -> tuple[Found, Challenge]:
        """Whose newest code it is; a wrong one is counted, and `take` uses a right one up. Raises
        LinkInvalid, AccountLocked."""
        key = address_key(email)
        subject = digest("letter", key)
        anybody = self.door.anybody(request_id)
        with self.door.begin(anybody) as work:
            found = work.people.find(IdentityKind.EMAIL, "", key)
        scope = anybody if found is None else self.door.scope_of(found, request_id)
        with self.door.begin(scope) as work:
            # The challenge is locked by that, so that guesses at one come one after the other.
            made = work.people.newest_challenge(purpose.value)
            require_unlocked(work.guesses.standing(subject), work.now)
            # Where there is none the same is done with one that nobody was sent.
            tried = made or Challenge(
                id=new_id(),
                purpose=purpose,
                identity_id=new_id(),
                expires_at=work.now + purpose.lasts,
            )
            usable = (
                made is not None
                and made.used_at is None
                and made.expires_at > work.now
                and made.tries < CODE_TRIES
            )
            if self.links.is_code(scope.user_id, tried, code) and found and made and usable:
                work.guesses.right(subject)
                return found, made
            work.people.count_try(tried.id)
            # A new code every minute would be guessed at for ever: all of them are counted. The
            # wrong guess is committed.
            standing = work.guesses.wrong(subject)
            user_id = None if found is None else found.user_id
            work.events.record(SignInFailed(user_id, standing.just_locked, purpose.value))
        raise LinkInvalid("the code is wrong, was used, or its time has run out")


def send(work: IdentityWork, user_id: UUID, identity_id: UUID, purpose: Purpose) -> None:
    """Let a letter be sent, if the last one was not just now."""
    last = work.people.newest_challenge(purpose.value)
    if last is None or (work.now - _begun(last)).total_seconds() >= _AGAIN_S:
        challenge(work, user_id, identity_id, purpose)


def _begun(made: Challenge) -> datetime:
    return made.expires_at - made.purpose.lasts


def take(work: IdentityWork, user_id: UUID, challenge_id: UUID, purpose: Purpose) -> Challenge:
    """Use the link or code up; the person is locked. Whoever has the letter has the address, which
    is verified by that. Whether who signed up is the same nobody knows, but of the link that
    verifies, which is for whoever has the password too: by any other, what was set before is
    undone. Raises LinkInvalid."""
    made = good(work, challenge_id, purpose)
    work.people.use_challenge(challenge_id)
    found = next((each for each in work.people.identities() if each.id == made.identity_id), None)
    if found is not None and found.verified_at is None:
        if purpose is not Purpose.VERIFY:
            _claim(work, user_id, made.identity_id)
        work.people.change_identity(made.identity_id, verified_at=work.now)
        work.events.record(IdentityChanged(user_id, made.identity_id, found.kind, "verified"))
    return made


def good(work: IdentityWork, challenge_id: UUID, purpose: Purpose) -> Challenge:
    """The link or code, locked, if it can be used. Raises LinkInvalid."""
    made = work.people.challenge(challenge_id)
    if (
        made is None
        or made.purpose is not purpose
        or made.used_at is not None
        or made.expires_at <= work.now
    ):
        raise LinkInvalid("this link was used before, or its time has run out")
    return made


def unproven(work: IdentityWork, identity_id: UUID) -> bool:
    """Whether nobody has shown yet that the address is theirs."""
    found = next((each for each in work.people.identities() if each.id == identity_id), None)
    return found is not None and found.verified_at is None


def _claim(work: IdentityWork, user_id: UUID, identity_id: UUID) -> None:
    """Let nobody in any more by what was set before the address was proven: a stranger may have
    signed up with it. The transaction is in the personal tenant, where all of that is."""
    work.people.change(password=None, codes=None, code_step=None)
    work.people.use_challenges()
    for session_id in work.sessions.end_all("claimed"):
        work.events.record(SessionEnded(user_id, session_id, "claimed"))
    for each in work.people.identities():
        if each.id != identity_id:
            work.people.remove_identity(each.id)
            work.events.record(IdentityChanged(user_id, each.id, each.kind, "removed"))
    for token in work.tokens.list():
        if token.revoked_at is None:
            work.tokens.revoke(token.id)
            work.events.record(TokenRevoked(token.id))
    work.events.record(PersonChanged(user_id, "claimed"))


def forget_guesses(work: IdentityWork, user_id: UUID) -> None:
    """Whoever proved to have the address, or an administrator, takes every lock away."""
    for each in work.people.identities():
        if each.kind is IdentityKind.EMAIL:
            work.guesses.right(digest("email", each.subject))
            work.guesses.right(digest("letter", each.subject))
    for kind in ("devices", "codes", "step-up"):
        work.guesses.right(digest(kind, str(user_id)))
