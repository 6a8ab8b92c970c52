"""Categories: the tenant's list of paths, `Household:Rent` below `Household`."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

import attrs

from finora_core.kernel.errors import Conflict, NotFound
from finora_core.kernel.events import Plain


class CategoryNotFound(NotFound):
    """There is no such category in this tenant's list."""

    code = "CATEGORY_NOT_FOUND"


class CategoryExists(Conflict):
    """The category is in the list, perhaps archived."""

    code = "CATEGORY_EXISTS"


@attrs.frozen(kw_only=True)
class Category:
    """One of the list. It is there from when somebody made it or a label first used it."""

    name: str
    note: str = ""
    created_at: datetime | None = None
    archived_at: datetime | None = None
    """It is not offered any more; what has it keeps it."""

    @property
    def parent(self) -> str:
        """The path above; empty at the top."""
        return self.name.rpartition(":")[0]


@attrs.frozen
class CategoryListed:
    """The list of categories was changed by a person."""

    type: ClassVar[str] = "category.listed"

    what: str
    """created, archived, restored"""

    def payload(self) -> Mapping[str, Plain]:
        return {"what": self.what}
