"""A person's addresses."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

import attrs

from finora_core.identity.addresses.model import (
    MOST_ADDRESSES,
    Address,
    AddressChanged,
    AddressNotFound,
    TooManyAddresses,
)
from finora_core.identity.people.model import require_person
from finora_core.identity.ports import IdentityWork
from finora_core.identity.sessions.door import Door, at_home
from finora_core.kernel.ids import new_id
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import retried


@attrs.frozen
class AddressService:
    door: Door

    def list(self, scope: Scope) -> Sequence[Address]:
        """The asker's addresses, oldest first."""
        with self._home(scope) as work:
            return work.addresses.list()

    @retried
    def add(self, scope: Scope, *, default: bool = False, **given: Any) -> Address:
        """The first one is the default, whatever is asked. Raises BadPostalAddress,
        TooManyAddresses."""
        wanted = Address(id=new_id(), **given)
        with self._home(scope) as work:
            known = _locked(work)
            if len(known) >= MOST_ADDRESSES:
                raise TooManyAddresses(f"you have {MOST_ADDRESSES} addresses already")
            first = attrs.evolve(wanted, is_default=default or not known, created_at=work.now)
            if first.is_default:
                work.addresses.make_default(None)
            work.addresses.add(first)
            work.events.record(AddressChanged(scope.user_id, first.id, "added"))
            return work.done(first)

    @retried
    def change(self, scope: Scope, address_id: UUID, **given: Any) -> Address:
        """What is not given stays. Raises BadPostalAddress, AddressNotFound."""
        with self._home(scope) as work:
            found = _of(_locked(work), address_id)
            changed: Address = attrs.evolve(found, **given)
            if changed != found:
                work.addresses.change(changed)
                work.events.record(AddressChanged(scope.user_id, address_id, "changed"))
            return work.done(changed)

    @retried
    def make_default(self, scope: Scope, address_id: UUID) -> Address:
        """In place of the one that was. Raises AddressNotFound."""
        with self._home(scope) as work:
            found = _of(_locked(work), address_id)
            if not found.is_default:
                work.addresses.make_default(address_id)
                work.events.record(AddressChanged(scope.user_id, address_id, "default"))
            return work.done(attrs.evolve(found, is_default=True))

    @retried
    def remove(self, scope: Scope, address_id: UUID) -> None:
        """After the default, the oldest of the others is. Raises AddressNotFound."""
        with self._home(scope) as work:
            known = _locked(work)
            gone = _of(known, address_id)
            work.addresses.remove(address_id)
            left = [each for each in known if each.id != address_id]
            if gone.is_default and left:
                work.addresses.make_default(left[0].id)
            work.events.record(AddressChanged(scope.user_id, address_id, "removed"))
            work.done(None)

    def _home(self, scope: Scope) -> AbstractContextManager[IdentityWork]:
        return self.door.begin(at_home(scope))


def _locked(work: IdentityWork) -> Sequence[Address]:
    """All there are; nobody changes any until the transaction ends. Raises PersonNotFound."""
    require_person(work.people.get(lock=True))
    return work.addresses.list()


def _of(known: Sequence[Address], address_id: UUID) -> Address:
    for each in known:
        if each.id == address_id:
            return each
    raise AddressNotFound(f"no address {address_id}")
