"""Keeping credentials, and changing the keys they are kept under."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import attrs

from finora_core.kernel.errors import Refusal
from finora_core.kernel.events import Plain
from finora_core.kernel.ids import derived_id, new_id
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried
from finora_core.secrets.model import (
    MAX_AGE,
    BadSecret,
    KeyAge,
    KeysLeft,
    KeyUse,
    NotGenuine,
    ResealAsked,
    RewrapAsked,
    Secret,
    SecretDamaged,
    SecretKeyMissing,
    SecretOpened,
    SecretPut,
    SecretRemoved,
    SecretStopped,
    SecretText,
    SigningKey,
    checked_code,
    checked_fields,
)
from finora_core.secrets.ports import KeyHolders, KeyRing, SecretWork, SigningKeyStore
from finora_core.secrets.vault import Vault

log = logging.getLogger(__name__)

REWRAP, RESEAL = "secrets.rewrap", "secrets.reseal"


@attrs.frozen
class SecretService:
    """Credentials of the person who asks, in the tenant they ask in; nobody sees another's."""

    begin: Begin[SecretWork]
    vault: Vault

    @retried
    def put(
        self,
        scope: Scope,
        institution: str,
        fields: Mapping[str, str | SecretText],
        *,
        type: str = "api_key",  # noqa: A002  # the feature's word
        expires_at: datetime | None = None,
    ) -> Secret:
        """Keep a credential, in place of the one that was there for the institution. Raises
        BadSecret."""
        texts = checked_fields(fields)
        checked_code(institution)
        checked_code(type)
        with self.begin(scope) as work:
            if expires_at is not None and expires_at <= work.now:
                raise BadSecret("a credential ends after now")
            work.data_keys.lock()
            before = work.secrets.find(institution)
            secret = Secret(
                id=before.id if before else new_id(),
                user_id=scope.user_id,
                institution=institution,
                type=type,
                fields=tuple(sorted(texts)),
                version=before.version + 1 if before else 1,
                is_active=True,
                created_at=before.created_at if before else work.now,
                changed_at=work.now,
                last_used_at=before.last_used_at if before else None,
                expires_at=expires_at,
                sync_blocked_until=None,
                failures=0,
            )
            key = self.vault.current(work, scope.tenant_id)
            sealed = [
                self.vault.seal(scope.tenant_id, key, secret, *item) for item in texts.items()
            ]
            work.events.record(SecretPut(secret.id, secret.version))
            return work.done(work.secrets.put(secret, sealed))

    def list(self, scope: Scope) -> Sequence[Secret]:
        """One's own, by institution; of what is secret, the names of its fields."""
        with self.begin(scope) as work:
            return work.secrets.list()

    @retried
    def open(self, scope: Scope, secret_id: UUID) -> Mapping[str, SecretText]:
        """The fields, for a connector's call and for nothing else: no route and no event carries
        them. Raises SecretNotFound, SecretInactive, SecretDamaged, SecretKeyMissing."""
        with self.begin(scope) as work:
            secret, fields = work.secrets.sealed(secret_id)
            secret.require_usable(work.now)
            try:
                texts = {
                    field.name: self.vault.open(scope.tenant_id, field, key)
                    for field, key in fields
                }
            except NotGenuine:
                # A row was changed or moved by somebody who is not Finora: an operator must know.
                log.error("secret %s of tenant %s does not open", secret_id, scope.tenant_id)
                raise SecretDamaged(
                    f"what is stored for {secret.institution} is not what was put; put it again"
                ) from None
            work.secrets.used(secret_id)
            work.events.record(SecretOpened(secret_id, secret.version))
        return texts

    @retried
    def worked(self, scope: Scope, secret_id: UUID) -> Secret:
        """The institution took it: its failures are forgotten. Raises SecretNotFound."""
        with self.begin(scope) as work:
            return work.secrets.worked(secret_id)

    @retried
    def failed(
        self,
        scope: Scope,
        secret_id: UUID,
        *,
        blocked_until: datetime | None = None,
        stopped: bool = False,
    ) -> Secret:
        """The institution did not take it: count it, leave it alone until then, or `stopped`: for
        good, until it is put again. Raises SecretNotFound."""
        with self.begin(scope) as work:
            if stopped:
                work.events.record(SecretStopped(secret_id))
            return work.secrets.failed(secret_id, blocked_until, stopped)

    @retried
    def remove(self, scope: Scope, secret_id: UUID) -> Secret:
        """Forget it. Raises SecretNotFound."""
        with self.begin(scope) as work:
            secret = work.secrets.remove(secret_id)
            work.events.record(SecretRemoved(secret_id))
            return work.done(secret)


@attrs.frozen(kw_only=True)
class Moved:
    """What became of a change of keys."""

    tenants: int
    keys: int
    """Data keys that were moved, or replaced."""
    left: int
    """Data keys and signing keys that stay where they were, because they cannot be unwrapped."""


@attrs.frozen
class KeyService:
    """What operators do with keys, over all tenants."""

    begin: Begin[SecretWork]
    vault: Vault
    ring: KeyRing
    holders: KeyHolders
    signing: SigningKeyStore

    def ages(self) -> Sequence[KeyAge]:
        """Every key, and how old it is: key-encryption keys since their first use, of the data keys
        under each the oldest, signing keys."""
        now, uses, signing = self.holders.now(), self.holders.uses(), self.signing.list()
        found = []
        for version in sorted(uses.keys() | set(self.ring.versions), reverse=True):
            use = uses.get(version, KeyUse(version=version))
            held = use.data_keys + sum(each[1] == version for each in signing)
            known, wraps = version in self.ring.versions, version == self.ring.newest
            if not known and not held:
                continue
            does = "wraps" if wraps else "unwraps" if known else "MISSING from FINORA_SECRET_KEYS"
            said, live = f"{does}, {held} keys under it", wraps or held > 0
            found.append(_aged(now, "key-encryption key", version, use.first_used_at, said, live))
            if use.oldest is not None:
                name, said = f"{use.data_keys} under {version}", "the oldest of them"
                found.append(_aged(now, "data key", name, use.oldest, said))
        for kid, version, created_at, retires_at in signing:
            does = f"verifies until {retires_at:%Y-%m-%d %H:%M} UTC" if retires_at else "signs"
            said, live = f"{does}, under {version}", retires_at is None
            found.append(_aged(now, "signing key", kid, created_at, said, live))
        return found

    def rotate(self) -> tuple[SigningKey, Sequence[str]]:
        """Another signing key; what those before it signed holds for seven days more. With the kids
        of those that were deleted because they cannot be unwrapped."""
        return self.signing.rotate()

    def ask_rewrap(self, scope: Scope) -> UUID:
        """Make the job that moves every key under the newest key-encryption key; its id."""
        version = self.ring.newest
        with self.begin(scope) as work:
            work.events.record(RewrapAsked(version))
            return work.done(_job_id(REWRAP, scope, str(version)))

    def ask_reseal(self, scope: Scope, age: timedelta = MAX_AGE) -> UUID:
        """Make the job that replaces every data key older than that; its id."""
        with self.begin(scope) as work:
            before = work.now - age
            work.events.record(ResealAsked(before))
            return work.done(_job_id(RESEAL, scope, before.isoformat()))

    def rewrap(
        self, scope: Scope, payload: Mapping[str, Plain], progress: Callable[[int, int], object]
    ) -> Moved:
        """The job. A tenant is a transaction; what was broken off goes on with those not yet moved.
        Raises SecretKeyMissing where this process does not wrap by the key that was asked for, and
        KeysLeft in the end where some do not open."""
        if payload["version"] != self.ring.newest:
            # A process that was started with the settings of before would move them back.
            raise SecretKeyMissing(
                f"this process wraps by key {self.ring.newest}, not by {payload['version']}: "
                "restart it with the new FINORA_SECRET_KEYS"
            )
        tenants = self.holders.not_under(self.ring.newest)
        moved = self._each(scope, tenants, self._rewrap, progress)
        left = moved.left + self.signing.rewrap()
        return self._over(scope, attrs.evolve(moved, left=left))

    def reseal(
        self, scope: Scope, payload: Mapping[str, Plain], progress: Callable[[int, int], object]
    ) -> Moved:
        """The job. A tenant is a transaction: a new data key, everything under it, the old ones
        deleted. Raises KeysLeft in the end where some do not open."""
        before = datetime.fromisoformat(str(payload["before"]))
        tenants = self.holders.older_than(before)
        return self._over(scope, self._each(scope, tenants, self._reseal, progress))

    def _each(
        self,
        scope: Scope,
        tenants: Sequence[UUID],
        act: Callable[[Scope], tuple[int, int]],
        progress: Callable[[int, int], object],
    ) -> Moved:
        keys = left = 0
        progress(0, len(tenants))
        for number, tenant_id in enumerate(tenants, 1):
            # Without the job's claim, which is of the schedules' own tenant. To do it twice is
            # to do it once; `progress` ends a runner whose job was taken over.
            done, undone = act(attrs.evolve(scope, tenant_id=tenant_id, cause=None))
            keys, left = keys + done, left + undone
            progress(number, len(tenants))
        return Moved(tenants=len(tenants), keys=keys, left=left)

    @retried
    def _rewrap(self, scope: Scope) -> tuple[int, int]:
        moved = left = 0
        with self.begin(scope) as work:
            work.data_keys.lock()
            for key in work.data_keys.list():
                if key.wrapped.version == self.ring.newest:
                    continue
                try:
                    self.vault.rewrap(work, scope.tenant_id, key)
                except Refusal as refusal:
                    log.error("data key %s of tenant %s: %s", key.id, scope.tenant_id, refusal)
                    left += 1
                else:
                    moved += 1
        return moved, left

    @retried
    def _reseal(self, scope: Scope) -> tuple[int, int]:
        with self.begin(scope) as work:
            work.data_keys.lock()
            keys = {key.id: key for key in work.data_keys.list()}
            new = self.vault.add(work, scope.tenant_id)
            fields = work.data_keys.fields(but=new.id)
            moved = [*self.vault.resealed(scope.tenant_id, fields, keys, new)]
            work.data_keys.reseal(moved)
            dropped = work.data_keys.drop_unused()
        return dropped, len(keys) - dropped

    def _over(self, scope: Scope, moved: Moved) -> Moved:
        if moved.left:
            raise KeysLeft(
                f"{moved.keys} keys were moved, and {moved.left} are left that do not open: see "
                "the log, give FINORA_SECRET_KEYS the key that they are under, and do it again",
                facts=attrs.asdict(moved),
            )
        with self.begin(scope) as work:
            return work.done(moved)


def _aged(
    now: datetime, kind: str, name: object, since: datetime | None, said: str, live: bool = True
) -> KeyAge:
    age = None if since is None else max(timedelta(0), now - since)
    return KeyAge(
        kind=kind,
        name=str(name),
        created_at=since,
        days=None if age is None else age.days,
        old=live and age is not None and age > MAX_AGE,
        said=said,
    )


def _job_id(job: str, scope: Scope, about: str) -> UUID:
    return derived_id(job, str(scope.user_id), about, scope.request_id)
