"""Notices by a plugin's way."""

from typing import Protocol

import attrs

from finora_core.kernel.outcome import (
    AuthExpired,
    Missing,
    Ok,
    Outcome,
    OverBudget,
    RateLimited,
    Unsupported,
)
from finora_core.kernel.scope import Scope
from finora_core.mail.model import Letter, MailAddress
from finora_core.mail.ports import Letters
from finora_core.notices.ports import NoticeRefused, NoticeUnavailable
from finora_core.plugins import Notice

_OPERATORS = "fault"
_NOBODY = MailAddress("nobody@finora.invalid")


class Notifying(Protocol):
    """A plugin's notifier as the host asks it: in time, and never raising."""

    def notify(self, notice: Notice) -> Outcome[None]: ...


@attrs.frozen
class ByPlugin:
    """What the plugin says of a failure stays in its log: it may hold what the notice says."""

    name: str
    source: Notifying = attrs.field(repr=False)
    letters: Letters = attrs.field(repr=False)

    @property
    def nobody(self) -> MailAddress:
        """The words of a letter are wanted, and no address."""
        return _NOBODY

    def deliver(self, scope: Scope, letter: Letter) -> None:
        message = self.letters.write(attrs.evolve(letter, to=_NOBODY))
        notice = Notice(
            id=str(letter.id),
            kind=letter.kind,
            tenant=str(scope.tenant_id),
            user=None if letter.kind == _OPERATORS else str(scope.user_id),
            title=message.subject,
            text=message.text,
        )
        match self.source.notify(notice):
            case Ok():
                return
            case Missing() | Unsupported():
                raise NoticeRefused(f"{self.name} takes no notice of this kind, or for this person")
            case RateLimited(after) | OverBudget(after):
                said = f"{self.name} takes no notice for {after} s"
                raise NoticeUnavailable(said, facts={"retry_after": after})
            case AuthExpired():
                raise NoticeUnavailable(f"{self.name} is not let in with its credentials")
        raise NoticeUnavailable(f"{self.name} did not take the notice")
