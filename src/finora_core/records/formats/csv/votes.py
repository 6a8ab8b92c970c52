"""Which of several notations the cells of one column are written in."""

from collections.abc import Mapping
from datetime import date
from typing import Generic, TypeVar

T = TypeVar("T")


class Votes(Generic[T]):
    """Counts, cell by cell, which notations can read a column. The first two are the rivals."""

    def __init__(self, notations: tuple[str, ...]) -> None:
        self._notations = notations
        self.rivals = notations[:2]
        self.cells = 0
        self.differ = False
        """Whether a cell was seen that the rivals read differently."""
        self._fits = dict.fromkeys(notations, 0)

    def add(self, readings: Mapping[str, T]) -> bool:
        """Count one cell; whether the rivals read it differently."""
        if not readings:
            return False  # no notation reads it: it says nothing about which
        self.cells += 1
        for notation in readings:
            self._fits[notation] += 1
        one, other = (readings.get(rival) for rival in self.rivals)
        differs = one is not None and other is not None and one != other
        self.differ = self.differ or differs
        return differs

    @property
    def open(self) -> bool:
        """Whether both rivals still read every cell."""
        return self.cells == 0 or all(self._fits[rival] == self.cells for rival in self.rivals)

    def winners(self) -> list[str]:
        """The notations that may be meant: one, or both rivals where the cells leave it open."""
        if self.open:
            return list(self.rivals)
        fitting = [one for one in self._notations if self._fits[one] == self.cells]
        if fitting:
            return fitting[:1]
        # Cells against each other: a few odd ones are errors, more are a question.
        first, second = self.rivals
        only_first, only_second = (self.cells - self._fits[one] for one in (second, first))
        if only_first >= 10 * only_second:
            return [first]
        if only_second >= 10 * only_first:
            return [second]
        return list(self.rivals)


class Run:
    """Whether dates keep one direction: statements are sorted."""

    def __init__(self) -> None:
        self._last: date | None = None
        self._up = self._down = True

    def add(self, day: date) -> None:
        if self._last is not None and day != self._last:
            if day > self._last:
                self._down = False
            else:
                self._up = False
        self._last = day

    @property
    def is_sorted(self) -> bool:
        return self._up or self._down
