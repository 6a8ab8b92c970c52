"""The addresses of the person that asks."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from finora_core.kernel.scope import Scope
from finora_web.api.auth import Done, done
from finora_web.contract import In, Listed, Out, Routes, Single, whole
from finora_web.services import Services

routes = Routes("addresses")

Label = Annotated[str, Field(min_length=1, max_length=50, examples=["Home"])]
Line = Annotated[str, Field(min_length=1, max_length=200, examples=["Hauptstraße 1"])]
Lines = Annotated[list[Line], Field(min_length=1, max_length=4)]
Receiver = Annotated[str, Field(min_length=1, max_length=200)]
Place = Annotated[str, Field(max_length=100)]
PostalCode = Annotated[str, Field(max_length=20)]
Country = Annotated[
    str, Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2.", examples=["AT"])
]
Phone = Annotated[str, Field(max_length=30, examples=["+43 1 234567"])]


class AddressOut(Out):
    id: UUID
    label: str
    name: str
    lines: list[str]
    city: str
    region: str
    postal_code: str
    country: str
    phone: str | None
    is_default: bool
    created_at: datetime | None


@routes.get("/me/addresses", "self:read", Listed[AddressOut], shape=whole)
def list_addresses(app: Services, scope: Scope) -> object:
    """The person's addresses, oldest first."""
    return app.addresses.list(scope)


class NewAddress(In):
    label: Label
    name: Receiver
    lines: Lines
    city: Place = ""
    region: Place = ""
    postal_code: PostalCode = ""
    country: Country
    phone: Phone | None = None
    is_default: bool = False


@routes.post("/me/addresses", "self:write", Single[AddressOut], status=201, private=True)
def add_address(app: Services, scope: Scope, body: NewAddress) -> object:
    """Keep an address, of at most 20. The first is the default."""
    given = body.model_dump(exclude={"is_default"})
    given["lines"] = tuple(body.lines)
    return app.addresses.add(scope, default=body.is_default, **given)


class AddressChange(In):
    label: Label | None = None
    name: Receiver | None = None
    lines: Lines | None = None
    city: Place | None = None
    region: Place | None = None
    postal_code: PostalCode | None = None
    country: Country | None = None
    phone: Phone | None = None


@routes.patch("/me/addresses/{address_id}", "self:write", Single[AddressOut], private=True)
def change_address(app: Services, scope: Scope, address_id: UUID, body: AddressChange) -> object:
    """Change parts of an address; a null takes the phone number away."""
    given = body.model_dump(exclude_unset=True)
    given = {name: value for name, value in given.items() if value is not None or name == "phone"}
    if body.lines is not None:
        given["lines"] = tuple(body.lines)
    return app.addresses.change(scope, address_id, **given)


@routes.delete("/me/addresses/{address_id}", "self:write", Single[Done], shape=done)
def remove_address(app: Services, scope: Scope, address_id: UUID) -> None:
    """Delete an address. After the default, the oldest of the others is."""
    app.addresses.remove(scope, address_id)


@routes.post("/me/addresses/{address_id}/default", "self:write", Single[AddressOut])
def make_default_address(app: Services, scope: Scope, address_id: UUID) -> object:
    """Let it be the default, in place of the one that was."""
    return app.addresses.make_default(scope, address_id)
