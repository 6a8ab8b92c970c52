"""Sealing and opening, inside a transaction, with the tenant's data keys."""

import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

import attrs

from finora_core.kernel.errors import Refusal
from finora_core.kernel.ids import new_id
from finora_core.secrets.model import (
    KEY_BYTES,
    DataKey,
    NotGenuine,
    Sealed,
    SealedField,
    Secret,
    SecretText,
    place_of_data_key,
)
from finora_core.secrets.ports import Cipher, KeyRing, SecretWork

log = logging.getLogger(__name__)

_NOTHING = Sealed(b"", b"")


@attrs.frozen
class OpenKey:
    """A data key that is ready to seal."""

    id: UUID
    key: bytes = attrs.field(repr=False)


@attrs.frozen
class Vault:
    cipher: Cipher
    ring: KeyRing

    def current(self, work: SecretWork, tenant_id: UUID) -> OpenKey:
        """The tenant's newest data key, or a new one where there is none yet, or its key-encryption
        key is gone: credentials that are put again must find a key. Under the tenant's lock."""
        found = work.data_keys.newest()
        if found is None or found.wrapped.version not in self.ring.versions:
            return self.add(work, tenant_id)
        return self._unwrapped(tenant_id, found)

    def add(self, work: SecretWork, tenant_id: UUID) -> OpenKey:
        """A new data key of the tenant."""
        key = OpenKey(new_id(), secrets.token_bytes(KEY_BYTES))
        wrapped = self.ring.wrap(key.key, place_of_data_key(tenant_id, key.id))
        work.data_keys.note(wrapped.version, self.ring.check(wrapped.version))
        work.data_keys.add(key.id, wrapped)
        return key

    def rewrap(self, work: SecretWork, tenant_id: UUID, key: DataKey) -> None:
        """Move a data key under the newest key-encryption key."""
        place = place_of_data_key(tenant_id, key.id)
        wrapped = self.ring.wrap(self.ring.unwrap(key.wrapped, place), place)
        work.data_keys.note(wrapped.version, self.ring.check(wrapped.version))
        work.data_keys.rewrap(key.id, wrapped)

    def seal(
        self, tenant_id: UUID, key: OpenKey, secret: Secret, name: str, text: SecretText
    ) -> SealedField:
        field = SealedField(
            secret_id=secret.id,
            user_id=secret.user_id,
            institution=secret.institution,
            version=secret.version,
            name=name,
            data_key_id=key.id,
            sealed=_NOTHING,
        )
        return self._sealed(tenant_id, key, field, text.reveal().encode())

    def open(self, tenant_id: UUID, field: SealedField, key: DataKey) -> SecretText:
        """Raises NotGenuine, SecretKeyMissing, SecretKeyWrong."""
        return SecretText(self._plain(field, self._unwrapped(tenant_id, key), tenant_id).decode())

    def resealed(
        self,
        tenant_id: UUID,
        fields: Sequence[SealedField],
        keys: Mapping[UUID, DataKey],
        new: OpenKey,
    ) -> Iterator[SealedField]:
        """Fields under a new data key. What does not open stays as it is."""
        unwrapped: dict[UUID, OpenKey] = {}
        for field in fields:
            at = field.data_key_id
            try:
                unwrapped[at] = unwrapped.get(at) or self._unwrapped(tenant_id, keys[at])
                plain = self._plain(field, unwrapped[at], tenant_id)
            except (NotGenuine, Refusal) as error:
                log.error("secret %s of tenant %s does not open: %s", field.secret_id, tenant_id,
                          error)  # fmt: skip
            else:
                yield self._sealed(tenant_id, new, field, plain)

    def _unwrapped(self, tenant_id: UUID, key: DataKey) -> OpenKey:
        return OpenKey(key.id, self.ring.unwrap(key.wrapped, place_of_data_key(tenant_id, key.id)))

    def _plain(self, field: SealedField, key: OpenKey, tenant_id: UUID) -> bytes:
        return self.cipher.open(key.key, field.sealed, field.place(tenant_id))

    def _sealed(
        self, tenant_id: UUID, key: OpenKey, field: SealedField, plain: bytes
    ) -> SealedField:
        sealed = self.cipher.seal(key.key, plain, field.place(tenant_id))
        return attrs.evolve(field, data_key_id=key.id, sealed=sealed)
