"""People, for administrators of the installation."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from finora_core.identity.roles import PlatformRole
from finora_core.kernel.scope import Scope
from finora_web.api.auth import Done, Email, done
from finora_web.contract import In, Listed, Out, Paged, Routes, Single, listed
from finora_web.services import Services

routes = Routes("people")

PlatformRoleName = Literal["admin", "resolver", "guard", "buyer", "seller"]


class ListedOut(Out):
    user_id: UUID
    name: str
    email: str | None
    roles: list[PlatformRoleName]
    created_at: datetime
    banned_at: datetime | None


class StateOut(Out):
    user_id: UUID
    name: str
    roles: list[PlatformRoleName]
    banned_at: datetime | None


class PeopleQuery(Paged):
    words: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")] = ""


@routes.get("/people", "people:read", Listed[ListedOut], shape=listed)
def list_people(app: Services, scope: Scope, query: PeopleQuery) -> object:
    """Everybody who signed up, oldest first; `words` are looked for in names and addresses."""
    return app.admin.people(scope, words=query.words, cursor=query.cursor, limit=query.limit)


class NewPerson(In):
    email: Email
    name: Annotated[str, Field(max_length=200)] = ""
    locale: Annotated[str, Field(max_length=35)] = "en"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"
    roles: list[PlatformRoleName] = Field(default_factory=list, max_length=5)


@routes.post("/people", "people:write", Single[ListedOut], status=201, step_up=True, private=True)
def create_person(app: Services, scope: Scope, body: NewPerson) -> Any:
    """A person, whom a letter asks to set a password. Administrators are made by the command
    only."""
    return app.admin.create(
        scope,
        body.email,
        name=body.name,
        roles=[PlatformRole(each) for each in body.roles],
        locale=body.locale,
        currency=body.currency,
    )


@routes.post("/people/{user_id}/ban", "people:write", Single[StateOut], step_up=True)
def ban_person(app: Services, scope: Scope, user_id: UUID) -> Any:
    """Close an account: all its sessions and tokens end."""
    return app.admin.ban(scope, user_id)


@routes.post("/people/{user_id}/unban", "people:write", Single[StateOut], step_up=True)
def unban_person(app: Services, scope: Scope, user_id: UUID) -> Any:
    """Open the account again; the person signs in anew."""
    return app.admin.unban(scope, user_id)


@routes.post("/people/{user_id}/unlock", "people:write", Single[StateOut])
def unlock_person(app: Services, scope: Scope, user_id: UUID) -> Any:
    """Forget the wrong guesses that locked the account."""
    return app.admin.unlock(scope, user_id)


@routes.post("/people/{user_id}/reset", "people:write", Single[StateOut], step_up=True)
def force_reset(app: Services, scope: Scope, user_id: UUID) -> Any:
    """Forget the password, end all sessions, and send a link to set another."""
    return app.admin.force_reset(scope, user_id)


class TenantFate(Out):
    id: UUID
    kind: Literal["personal", "business", "host"]
    name: str
    fate: Literal["erased", "left", "hinders"]


class DependenciesOut(Out):
    user_id: UUID
    erasable: bool
    tenants: list[TenantFate]
    rows: dict[str, int] = Field(description="What would go, by table.")


def _dependencies(found: Any) -> object:
    fates = {"erased": found.plan.whole, "left": found.plan.left, "hinders": found.plan.hindering}
    return {"data": {
        "user_id": found.user_id,
        "erasable": not found.plan.hindering,
        "tenants": [
            {"id": each.id, "kind": each.kind.value, "name": each.name, "fate": fate}
            for fate, tenants in fates.items() for each in tenants
        ],
        "rows": found.rows,
    }}  # fmt: skip


@routes.get("/people/{user_id}/dependencies", "people:read", Single[DependenciesOut],
            shape=_dependencies)  # fmt: skip
def list_dependencies(app: Services, scope: Scope, user_id: UUID) -> Any:
    """What would be deleted with a person, and which tenants hinder it."""
    return app.erasure.dependencies(scope, user_id)


@routes.delete("/people/{user_id}", "people:write", Single[Done], shape=done, status=202,
               step_up=True)  # fmt: skip
def erase_person(app: Services, scope: Scope, user_id: UUID) -> None:
    """Let a person be forgotten; never an administrator. There is no way back."""
    app.erasure.ask_of(scope, user_id)


class RolesIn(In):
    roles: Annotated[list[PlatformRoleName], Field(max_length=5)]


@routes.post("/people/{user_id}/roles", "people:write", Single[StateOut], step_up=True)
def set_platform_roles(app: Services, scope: Scope, user_id: UUID, body: RolesIn) -> Any:
    """The person's roles on the platform. Administrators are made by the command only."""
    return app.admin.set_roles(scope, user_id, [PlatformRole(each) for each in body.roles])
