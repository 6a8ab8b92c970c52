"""Which events people are written about."""

from collections.abc import Mapping

from finora_core.identity.people.model import ChallengeMade, LetterAsked, PersonChanged
from finora_core.identity.sessions.model import SessionEnded, SessionOpened, SignInFailed
from finora_core.identity.tenants.model import MemberInvited
from finora_core.jobs.model import Handler, Progress, Subscription
from finora_core.kernel.events import Plain
from finora_core.kernel.scope import Scope
from finora_core.notices.service import NoticeService

QUEUE = "mail"
_NOTICES: Mapping[str, tuple[str, tuple[str, Plain]]] = {
    "locked": (SignInFailed.type, ("locked", True)),
    "new_sign_in": (SessionOpened.type, ("known", False)),
    "session_reused": (SessionEnded.type, ("reason", "reused")),
    "password_changed": (PersonChanged.type, ("change", "password")),
}

SUBSCRIPTIONS = (
    Subscription(event=LetterAsked.type, job="mail.asked", queue=QUEUE),
    Subscription(event=ChallengeMade.type, job="mail.challenge", queue=QUEUE, subject="challenge"),
    Subscription(event=MemberInvited.type, job="mail.invite", queue=QUEUE, subject="invite"),
    *(
        Subscription(event=event, job=f"mail.{kind}", queue=QUEUE, only=only)
        for kind, (event, only) in _NOTICES.items()
    ),
)


def handlers(notices: NoticeService) -> dict[str, Handler]:
    def tell(kind: str) -> Handler:
        def run(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
            return notices.notice(kind, scope, payload)

        return run

    found = {f"mail.{kind}": tell(kind) for kind in _NOTICES}
    return found | {
        "mail.asked": notices.asked,
        "mail.challenge": notices.challenge,
        "mail.invite": notices.invite,
    }
