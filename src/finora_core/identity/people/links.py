"""Links and codes in letters: signatures over a challenge's id, so that no row and no job holds
one. Whoever sends the letter makes them, whoever reads them makes them again."""

import hashlib
import hmac
from datetime import datetime
from uuid import UUID

import attrs

from finora_core.identity.model import TokenInvalid
from finora_core.identity.people.model import Challenge, Found, LinkInvalid, Purpose
from finora_core.identity.verifiers import Tokens


@attrs.frozen(kw_only=True)
class Link:
    """What a link says, unspent."""

    user_id: UUID
    home_id: UUID
    identity_id: UUID
    challenge_id: UUID

    @property
    def found(self) -> Found:
        return Found(user_id=self.user_id, home_id=self.home_id, identity_id=self.identity_id)


@attrs.frozen
class Links:
    tokens: Tokens

    def write(self, user_id: UUID, home_id: UUID, challenge: Challenge) -> str:
        """The text that proves its reader got the letter."""
        said = {
            "sub": str(user_id),
            "tid": str(home_id),
            "iid": str(challenge.identity_id),
            "cid": str(challenge.id),
            "for": challenge.purpose.value,
        }
        ends, begun = _times(challenge)
        return self.tokens.sign("link", said, expires_at=ends, issued_at=begun)

    def read(self, text: str, purpose: Purpose, now: datetime) -> Link:
        """Raises LinkInvalid."""
        try:
            said = self.tokens.read("link", text, now)
            if said["for"] != purpose.value:
                raise TokenInvalid("a link for something else")
            ids = [UUID(str(said[name])) for name in ("sub", "tid", "iid", "cid")]
        except (TokenInvalid, KeyError, ValueError) as error:
            raise LinkInvalid("this link is not one of ours, or its time has run out") from error
        return Link(user_id=ids[0], home_id=ids[1], identity_id=ids[2], challenge_id=ids[3])

    def code(self, user_id: UUID, challenge: Challenge) -> str:
        """Six digits. Guessed at no more often than the challenge's row allows."""
        ends, begun = _times(challenge)
        said = _said(user_id, challenge)
        return _digits(self.tokens.sign("code", said, expires_at=ends, issued_at=begun))

    def is_code(self, user_id: UUID, challenge: Challenge, text: str) -> bool:
        ends, begun = _times(challenge)
        said = _said(user_id, challenge)
        # Whoever sent the letter may have signed with an older key than this process would, or
        # with a newer one.
        signed = self.tokens.signed("code", said, expires_at=ends, issued_at=begun)
        found = [hmac.compare_digest(_digits(each).encode(), text.encode()) for each in signed]
        return any(found)


def _said(user_id: UUID, challenge: Challenge) -> dict[str, str]:
    return {"sub": str(user_id), "cid": str(challenge.id)}


def _times(challenge: Challenge) -> tuple[datetime, datetime]:
    return challenge.expires_at, challenge.expires_at - challenge.purpose.lasts


def _digits(signed: str) -> str:
    number = int.from_bytes(hashlib.sha256(signed.encode()).digest()[:8])
    return f"{number % 1_000_000:06}"
