"""Events: things that happened. Ids, amounts and codes only, so that a person can be forgotten
without touching the log."""

from collections.abc import Mapping
from typing import ClassVar, Protocol

Plain = str | int | bool | None


class Event(Protocol):
    """A frozen attrs class in a slice's model; `type` is its stable name, `noun.past_tense`."""

    type: ClassVar[str]

    def payload(self) -> Mapping[str, Plain]:
        """What the log keeps: ids, whole amounts as text, codes. Never names or free text."""
