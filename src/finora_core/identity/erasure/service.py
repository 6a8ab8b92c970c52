"""Forgetting a person."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from uuid import UUID

import attrs

from finora_core.identity.erasure.model import (
    CONFIRMATION,
    Dependencies,
    Erased,
    ErasureAsked,
    ErasureUnconfirmed,
    PersonErased,
    Plan,
    TenantErased,
    planned,
)
from finora_core.identity.people.model import (
    AdminProtected,
    IdentityKind,
    Person,
    PersonNotFound,
    require_person,
)
from finora_core.identity.ports import IdentityWork
from finora_core.identity.roles import PlatformRole
from finora_core.identity.sessions.door import Door, at_home, digest
from finora_core.identity.tenants.model import MemberChanged
from finora_core.kernel.errors import Unavailable
from finora_core.kernel.events import Plain
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import retried
from finora_core.mail.model import BadAddress, address_key

log = logging.getLogger(__name__)

ERASE = "people.erase"


@attrs.frozen
class ErasureService:
    door: Door
    forget_files: Callable[[UUID], None]
    """Deletes the stored files of a tenant; raises Unavailable."""

    def ask(self, scope: Scope, confirmation: str) -> None:
        """Let the asker be forgotten: a job does it. Raises ErasureUnconfirmed, ErasureHindered,
        PersonNotFound."""
        with self.door.begin(attrs.evolve(at_home(scope), cause=None)) as work:
            require_person(work.people.get())
            if confirmation != CONFIRMATION and _key(confirmation) not in _mails(work):
                raise ErasureUnconfirmed(f"repeat your address, or the word {CONFIRMATION}")
            _plan(work, scope.user_id).require()
        self._record(scope, scope.user_id)

    def ask_of(self, scope: Scope, user_id: UUID) -> None:
        """The same by an administrator, of anybody but an administrator. Twice is once. Raises
        AdminProtected, ErasureHindered, PersonNotFound."""
        with self._other(scope, user_id) as work:
            person = _person(work, user_id)
            if PlatformRole.ADMIN in person.roles:
                raise AdminProtected("an administrator cannot do this to another")
            _plan(work, user_id).require()
        self._record(scope, user_id)

    def dependencies(self, scope: Scope, user_id: UUID) -> Dependencies:
        """What would go with the person, and what hinders. Raises PersonNotFound."""
        with self._other(scope, user_id) as work:
            _person(work, user_id)
            plan = _plan(work, user_id)
            rows = Counter(work.erasure.rows_of(user_id))
            for tenant in plan.whole:
                rows.update(work.erasure.rows_in(tenant.id))
        return Dependencies(user_id=user_id, plan=plan, rows=dict(sorted(rows.items())))

    def run(
        self, scope: Scope, payload: Mapping[str, Plain], progress: Callable[[int, int], object]
    ) -> object:
        """The job: everything in one transaction, and the end of the job in it, so that a crash
        leaves all or nothing. Who was forgotten before is no more than that. Raises
        ErasureHindered."""
        erased, tenants = self._erase(scope, UUID(str(payload["user"])))
        for tenant_id in tenants:
            # No row refers to them now: whatever is left by a crash here, the sweep finds.
            try:
                self.forget_files(tenant_id)
            except Unavailable as error:
                log.warning("files of tenant %s are left to the sweep: %s", tenant_id, error)
        return erased

    @retried
    def _erase(self, scope: Scope, user_id: UUID) -> tuple[Erased, tuple[UUID, ...]]:
        with self.door.begin(scope) as work:
            # First of all, and as everybody does who opens a session or joins a tenant.
            person = work.erasure.person(user_id)
            if person is None or person.home_id is None:
                return work.done(Erased(tenants=0, left=0, rows=0)), ()
            plan = _plan(work, user_id, lock=True).require()
            mails = work.erasure.mails(user_id)
            rows = work.erasure.forget(user_id, mails)
            for key in mails:
                work.guesses.right(digest("email", key))
            for kind in ("codes", "step-up"):
                work.guesses.right(digest(kind, str(user_id)))
            for tenant in plan.whole:
                rows += work.erasure.erase(tenant.id)
                work.events.record(TenantErased(tenant.id))
            for tenant in plan.left:
                work.erasure.leave(tenant.id, user_id, MemberChanged(user_id, "left", None))
            work.events.record(PersonErased(user_id))
            erased = Erased(tenants=len(plan.whole), left=len(plan.left), rows=rows)
            return work.done(erased), tuple(tenant.id for tenant in plan.whole)

    @retried
    def _record(self, scope: Scope, user_id: UUID) -> None:
        """In the platform's tenant: the person's own goes, and the job with it."""
        with self.door.begin(scope.at(self.door.platform().tenant_id, user_id)) as work:
            work.events.record(ErasureAsked(user_id))
            work.done(None)

    def _other(self, scope: Scope, user_id: UUID) -> AbstractContextManager[IdentityWork]:
        return self.door.begin(
            attrs.evolve(scope, cause=None).at(self.door.platform().tenant_id, user_id)
        )


def _person(work: IdentityWork, user_id: UUID) -> Person:
    """Who was forgotten before, too. Raises PersonNotFound for nobody and for a host's user."""
    person = work.people.get()
    if person is None or (person.home_id is None and person.erased_at is None):
        raise PersonNotFound(f"no person {user_id}")
    return person


def _plan(work: IdentityWork, user_id: UUID, *, lock: bool = False) -> Plan:
    return planned(user_id, work.erasure.ties(user_id, lock=lock))


def _mails(work: IdentityWork) -> set[str]:
    return {e.subject for e in work.people.identities() if e.kind is IdentityKind.EMAIL}


def _key(text: str) -> str:
    try:
        return address_key(text)
    except BadAddress:
        return ""
