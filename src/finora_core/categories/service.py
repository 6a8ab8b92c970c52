"""What people do with the list of categories."""

import attrs

from finora_core.categories.model import Category, CategoryListed
from finora_core.categories.ports import CategoriesWork
from finora_core.kernel.page import DEFAULT_LIMIT, Page, checked_limit
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried
from finora_core.records.model import BadCategory, category_path, check_text


@attrs.frozen
class CategoryService:
    begin: Begin[CategoriesWork]

    def list(
        self,
        scope: Scope,
        *,
        archived: bool = False,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Category]:
        """By name; archived ones only if they are asked for."""
        with self.begin(scope) as work:
            return work.categories.list(cursor, checked_limit(limit), archived=archived)

    @retried
    def create(self, scope: Scope, name: str, note: str = "") -> Category:
        """Put a category into the list. What is above it need not be there."""
        path = category_path(name)
        if not path:
            raise BadCategory("a category has a name")
        check_text(note)
        with self.begin(scope) as work:
            work.categories.add(path, note)
            work.events.record(CategoryListed("created"))
            return work.done(work.categories.get(path))

    @retried
    def archive(self, scope: Scope, name: str, *, archived: bool = True) -> Category:
        """Offer it no more, or again. No record changes."""
        with self.begin(scope) as work:
            work.categories.get(name)
            work.categories.archive(name, archived)
            work.events.record(CategoryListed("archived" if archived else "restored"))
            return work.done(work.categories.get(name))
