"""Links of invitations: signatures over the invitation's row."""

from datetime import datetime
from uuid import UUID

import attrs

from finora_core.identity.model import TokenInvalid
from finora_core.identity.tenants.model import INVITE_LASTS, Invite, InviteInvalid
from finora_core.identity.verifiers import Tokens


@attrs.frozen
class Invitations:
    tokens: Tokens

    def write(self, tenant_id: UUID, invite: Invite) -> str:
        said = {"tid": str(tenant_id), "cid": str(invite.id)}
        begun = invite.expires_at - INVITE_LASTS
        return self.tokens.sign("invite", said, expires_at=invite.expires_at, issued_at=begun)

    def read(self, text: str, now: datetime) -> tuple[UUID, UUID]:
        """The tenant's id and the invitation's. Raises InviteInvalid."""
        try:
            said = self.tokens.read("invite", text, now)
            return UUID(str(said["tid"])), UUID(str(said["cid"]))
        except (TokenInvalid, KeyError, ValueError) as error:
            raise InviteInvalid("this is no invitation, or its time has run out") from error
