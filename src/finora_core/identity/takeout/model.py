"""What a person takes along."""

from collections.abc import Mapping
from typing import ClassVar
from uuid import UUID

import attrs

from finora_core.kernel.events import Plain

VERSION = 1
"""Of the document's form."""


@attrs.frozen
class PersonExported:
    """A person took a copy of everything: an event, for whoever stole a session does so too."""

    type: ClassVar[str] = "person.exported"

    user_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"user": str(self.user_id)}
