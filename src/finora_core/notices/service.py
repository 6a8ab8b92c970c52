"""Letters about people's own accounts. Each is read in one transaction, handed over outside of any,
and noted in another; sent twice after a crash, it has the same id."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from urllib.parse import quote
from uuid import UUID

import attrs

from finora_core.identity.people.model import Challenge, Identity, IdentityKind, Person, Purpose
from finora_core.identity.ports import IdentityWork, InviteLinks, SentLinks
from finora_core.identity.sessions.model import LOCK_LASTS, Session
from finora_core.identity.tenants.model import INVITE_LASTS
from finora_core.jobs.model import Progress
from finora_core.kernel.events import Plain
from finora_core.kernel.ids import derived_id
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin
from finora_core.mail.model import Letter, MailAddress
from finora_core.notices.ports import Way

_NEW = timedelta(hours=1)
_PAGES = {Purpose.VERIFY: "verify", Purpose.RESET: "reset", Purpose.MAGIC: "enter"}


@attrs.frozen
class NoticeService:
    begin: Begin[IdentityWork]
    way: Way
    links: SentLinks
    invitations: InviteLinks
    site: str
    """URL that links begin with."""
    make: Callable[[IdentityWork, UUID, UUID, Purpose], None]
    """Lets a link or code be sent, if the last one was not just now."""
    operator: MailAddress | None = None
    """Who is told of faults."""

    def asked(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        """Make the link or code that somebody asked for, if the address is somebody's still."""
        if payload["user"] is None:
            return self._done(scope, sent=False)
        scope = _of_person(scope, payload)
        identity_id = UUID(str(payload["identity"]))
        with self.begin(scope) as work:
            if any(each.id == identity_id for each in work.people.identities()):
                user_id = UUID(str(payload["user"]))
                self.make(work, user_id, identity_id, Purpose(str(payload["purpose"])))
            return work.done({"sent": False})

    def challenge(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        """Send a link or code, unless it was used or came too late."""
        scope = _of_person(scope, payload)
        with self.begin(scope) as work:
            made = work.people.challenge(UUID(str(payload["challenge"])))
            found = _who(work)
            if made is None or found is None or made.used_at or made.expires_at <= work.now:
                return work.done({"sent": False})
            person = found[0]
            to = next((e for e in work.people.identities() if e.id == made.identity_id), None)
        if to is None or person.home_id is None:
            return self._done(scope, sent=False)
        values = self._values(person, made)
        return self._send(scope, made.purpose.value, person, to.label, values, made.id)

    def notice(self, kind: str, scope: Scope, payload: Mapping[str, Plain]) -> object:
        """Tell somebody what happened to the account."""
        if payload.get("user") is None:
            return self._done(scope, sent=False)
        scope = _of_person(scope, payload)
        with self.begin(scope) as work:
            found, now = _who(work), work.now
            session = payload.get("session")
            row = None if session is None else work.sessions.get(UUID(str(session)))
            first = len(work.sessions.list()) <= 1
        if found is None or (to := self._to(found[1])) is None:
            return self._done(scope, sent=False)
        # Whoever just signed up knows of the first sign-in.
        if kind == "new_sign_in" and first and _is_new(found[0], row):
            return self._done(scope, sent=False)
        said = {
            "when": _when(now),
            "where": "a device that did not sign in here before",
            "device": row.agent or "an unknown program" if row else "an unknown program",
            "link": f"{self.site}/forgot",
            "minutes": str(int(LOCK_LASTS.total_seconds() // 60)),
        }
        names = {
            "locked": ("when", "where", "link", "minutes"),
            "new_sign_in": ("when", "device"),
            "session_reused": ("when", "device"),
            "password_changed": ("when",),
        }[kind]
        values = {name: said[name] for name in names}
        about = derived_id("notice", kind, str(payload["job"]))
        return self._send(scope, kind, found[0], to, values, about)

    def tell(
        self, scope: Scope, kind: str, user_id: UUID, values: Mapping[str, str], about: str
    ) -> object:
        """Tell a person what another slice has to say; it gives the words. None are no letter, and
        neither is there one for a person without an address, where the way needs one."""
        scope = scope.at(scope.tenant_id, user_id)
        with self.begin(scope) as work:
            found = _who(work)
        if not values or found is None or (to := self._to(found[1])) is None:
            return self._done(scope, sent=False)
        return self._send(scope, kind, found[0], to, values, derived_id("notice", kind, about))

    def failed(self, scope: Scope, payload: Mapping[str, Plain]) -> object:
        """Tell somebody that a job has failed for good."""
        when = _when(datetime.fromisoformat(str(payload["at"])))
        values = {
            "task": str(payload["name"]),
            "when": when,
            "reason": str(payload["reason"]),
            "link": f"{self.site}/",
        }
        user_id = UUID(str(payload["user"]))
        return self.tell(scope, "job_failed", user_id, values, f"{payload['failed']} {when}")

    def fault(self, scope: Scope, payload: Mapping[str, Plain]) -> object:
        """Tell the operator what should be looked at, where one is named."""
        to = self.operator or self.way.nobody
        if to is None:
            return self._done(scope, sent=False)
        letter = Letter(
            kind="fault",
            to=to,
            values={"said": str(payload["said"]), "link": f"{self.site}/health/deep"},
            about=derived_id("fault", str(payload["fault"])),
        )
        self.way.deliver(scope, letter)
        return self._done(scope, sent=True)

    def invite(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        """Send an invitation, unless it was used or taken back."""
        with self.begin(scope) as work:
            invite = work.members.invite(UUID(str(payload["invite"])))
            tenant = work.members.tenant()
            if invite is None or tenant is None or not invite.open(work.now):
                return work.done({"sent": False})
        link = self.invitations.write(scope.tenant_id, invite)
        letter = Letter(
            kind="invite",
            to=invite.email,
            values={
                "tenant": tenant.name,
                "role": invite.role.value,
                "link": f"{self.site}/invitation?token={quote(link)}",
                "days": str(INVITE_LASTS.days),
            },
            about=invite.id,
        )
        self.way.deliver(scope, letter)
        return self._done(scope, sent=True)

    def _to(self, identity: Identity | None) -> str | MailAddress | None:
        return self.way.nobody if identity is None else identity.label

    def _values(self, person: Person, made: Challenge) -> Mapping[str, str]:
        assert person.home_id is not None
        minutes = int(made.purpose.lasts.total_seconds() // 60)
        values: dict[str, str] = {"minutes": str(minutes)}
        if made.purpose is Purpose.VERIFY:
            values = {"hours": str(minutes // 60)}
        if made.purpose in _PAGES:
            link = self.links.write(person.user_id, person.home_id, made)
            values["link"] = f"{self.site}/{_PAGES[made.purpose]}?token={quote(link)}"
        if made.purpose in (Purpose.CODE, Purpose.RESET):
            values["code"] = self.links.code(person.user_id, made)
        return values

    def _send(
        self,
        scope: Scope,
        kind: str,
        person: Person,
        to: str | MailAddress,
        values: Mapping[str, str],
        about: UUID,
    ) -> object:
        letter = Letter(kind=kind, to=to, values=values, locale=person.locale, about=about)
        self.way.deliver(scope, letter)
        return self._done(scope, sent=True)

    def _done(self, scope: Scope, *, sent: bool) -> object:
        with self.begin(scope) as work:
            return work.done({"sent": sent})


def _of_person(scope: Scope, payload: Mapping[str, Plain]) -> Scope:
    return scope.at(scope.tenant_id, UUID(str(payload["user"])))


def _who(work: IdentityWork) -> tuple[Person, Identity | None] | None:
    """The person, and the address that letters go to."""
    person = work.people.get()
    if person is None:
        return None
    mails = [each for each in work.people.identities() if each.kind is IdentityKind.EMAIL]
    return person, min(mails, key=lambda each: each.verified_at is None, default=None)


def _is_new(person: Person, session: Session | None) -> bool:
    begun = person.created_at
    return not (begun and session) or session.created_at - begun < _NEW


def _when(now: datetime) -> str:
    return now.strftime("%Y-%m-%d %H:%M UTC")
