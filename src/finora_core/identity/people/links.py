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
        return self._sign("link", said, challenge)

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
        said = {"sub": str(user_id), "cid": str(challenge.id)}
        signed = self._sign("code", said, challenge)
        number = int.from_bytes(hashlib.sha256(signed.encode()).digest()[:8])
        return f"{number % 1_000_000:06}"

    def is_code(self, user_id: UUID, challenge: Challenge, text: str) -> bool:
        return hmac.compare_digest(self.code(user_id, challenge).encode(), text.encode())

    def _sign(self, kind: str, said: dict[str, str], challenge: Challenge) -> str:
        begun = challenge.expires_at - challenge.purpose.lasts
        return self.tokens.sign(kind, said, expires_at=challenge.expires_at, issued_at=begun)
