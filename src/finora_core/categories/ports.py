"""What the list of categories needs of a transaction."""

from typing import Protocol

from finora_core.categories.model import Category
from finora_core.kernel.page import Page
from finora_core.kernel.work import Work


class Categories(Protocol):
    def list(self, cursor: str | None, limit: int, *, archived: bool) -> Page[Category]:
        """By name, so that what is below a category follows it."""

    def get(self, name: str) -> Category:
        """Raises CategoryNotFound."""

    def add(self, name: str, note: str) -> None:
        """Raises CategoryExists."""

    def archive(self, name: str, archived: bool) -> None: ...


class CategoriesWork(Work, Protocol):
    @property
    def categories(self) -> Categories: ...
