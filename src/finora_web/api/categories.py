"""The tenant's list of categories."""

from datetime import datetime

from pydantic import Field

from finora_core.kernel.scope import Scope
from finora_web.contract import In, Listed, Name, Out, Paged, Routes, Single, Text, listed
from finora_web.services import Services

routes = Routes("categories")


class CategoryOut(Out):
    name: str = Field(description="A path of names, `Household:Rent`.")
    parent: str = Field(description="The path above; empty at the top.")
    note: str
    created_at: datetime
    archived_at: datetime | None


class CategoryQuery(Paged):
    archived: bool = Field(False, description="Archived ones, too.")


class NewCategoryIn(In):
    name: Name
    note: Text = ""


class ArchiveIn(In):
    name: Name
    archived: bool = True


@routes.get("/categories", "books:read", Listed[CategoryOut], shape=listed)
def list_categories(app: Services, scope: Scope, query: CategoryQuery) -> object:
    """The categories by name, so that what is below one follows it."""
    return app.categories.list(
        scope, archived=query.archived, cursor=query.cursor, limit=query.limit
    )


@routes.post("/categories", "books:write", Single[CategoryOut], status=201)
def create_category(app: Services, scope: Scope, body: NewCategoryIn) -> object:
    """Put a category into the list. One that a record is given is put there by itself."""
    return app.categories.create(scope, body.name, body.note)


@routes.post("/categories/archive", "books:write", Single[CategoryOut])
def archive_category(app: Services, scope: Scope, body: ArchiveIn) -> object:
    """Offer a category no more, or again. What has it keeps it."""
    return app.categories.archive(scope, body.name, archived=body.archived)
