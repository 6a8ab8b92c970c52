"""A person's addresses: at most twenty, and one of them, where there is any, the default."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar
from uuid import UUID

import attrs

from finora_core.identity.addresses.countries import COUNTRIES
from finora_core.kernel.errors import Conflict, Invalid, NotFound
from finora_core.kernel.events import Plain

MOST_ADDRESSES = 20
MOST_LINES = 4

_PHONE = re.compile(r"\+?[0-9][0-9 ()./-]{2,28}[0-9]", re.ASCII)


class BadPostalAddress(Invalid):
    """A part of the address is missing, too long, or not what it should be."""

    code = "BAD_POSTAL_ADDRESS"


class AddressNotFound(NotFound):
    """There is no such address of this person."""

    code = "ADDRESS_NOT_FOUND"


class TooManyAddresses(Conflict):
    """A person has at most 20 addresses: delete one first."""

    code = "TOO_MANY_ADDRESSES"


@attrs.frozen(kw_only=True)
class Address:
    id: UUID
    label: str
    """What its owner calls it."""
    name: str
    """Who receives there."""
    lines: tuple[str, ...]
    city: str
    region: str
    postal_code: str
    country: str
    """ISO 3166-1 alpha-2."""
    phone: str | None = None
    is_default: bool = False
    created_at: datetime | None = None

    def __attrs_post_init__(self) -> None:
        _check("label", self.label, 1, 50)
        _check("name", self.name, 1, 200)
        if not 1 <= len(self.lines) <= MOST_LINES:
            raise _bad("lines", f"an address has 1 to {MOST_LINES} lines")
        for line in self.lines:
            _check("lines", line, 1, 200)
        # There are countries without regions, without postal codes, and of one city.
        for part, most in (("city", 100), ("region", 100), ("postal_code", 20)):
            _check(part, getattr(self, part), 0, most)
        if self.country not in COUNTRIES:
            raise _bad("country", f"{self.country[:10]!r} is no country's code of ISO 3166")
        if self.phone is not None and not _PHONE.fullmatch(self.phone):
            raise _bad("phone", "a phone number has 4 to 30 digits, spaces and +()./-")


@attrs.frozen
class AddressChanged:
    type: ClassVar[str] = "address.changed"

    user_id: UUID
    address_id: UUID
    change: str
    """added, changed, removed, default."""

    def payload(self) -> Mapping[str, Plain]:
        return {
            "user": str(self.user_id),
            "address": str(self.address_id),
            "change": self.change,
        }


def _check(part: str, text: str, least: int, most: int) -> None:
    if not least <= len(text) <= most or (text and not text.isprintable()):
        raise _bad(part, f"{least} to {most} printable characters")


def _bad(part: str, said: str) -> BadPostalAddress:
    return BadPostalAddress(f"{part}: {said}", details=((part, said),))
