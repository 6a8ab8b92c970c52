"""From what an answer claims to how often such answers were right."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

import attrs

from finora_core.categories.similar.model import SURE

_LENT_RIGHT, _LENT = 1, 3
"""Answers of which one was right, that every step is lent: three of three are no proof."""

Tried = Sequence[tuple[float, bool]]
"""What was claimed, and whether it was right."""


@attrs.frozen
class Steps:
    """A rising staircase: up to each claim, so many basis points."""

    upto: tuple[float, ...] = ()
    right: tuple[int, ...] = ()

    @classmethod
    def of(cls, tried: Tried) -> "Steps":
        """The isotonic regression (pool adjacent violators) of being right on the claim."""
        pools: list[tuple[float, int, int]] = []
        size = max(20, len(tried) // 40)
        ordered = sorted(tried)
        for at in range(0, len(ordered), size):
            some = ordered[at : at + size]
            pool = (some[-1][0], sum(right for _, right in some), len(some))
            while pools and pools[-1][1] * pool[2] >= pool[1] * pools[-1][2]:
                _, right, count = pools.pop()
                pool = (pool[0], pool[1] + right, pool[2] + count)
            pools.append(pool)
        shares = [SURE * (right + _LENT_RIGHT) // (count + _LENT) for _, right, count in pools]
        # A short step is lent more than a long one, and could fall below the one before it.
        return cls(tuple(claim for claim, _, _ in pools), tuple(accumulate(shares, max)))

    def at(self, claim: float) -> int:
        if not self.upto:
            return 0
        return self.right[min(bisect_left(self.upto, claim), len(self.upto) - 1)]


@attrs.frozen
class Calibration:
    novel: Steps = Steps()
    known: tuple[Steps, ...] = (Steps(),)
    """Found in different ways: the most careful one counts."""

    @classmethod
    def of(cls, *, novel: Tried, known: Sequence[Tried]) -> "Calibration":
        return cls(Steps.of(novel), tuple(map(Steps.of, known)))

    def confidence(self, claim: float, *, known: bool) -> int:
        """In basis points."""
        return min(steps.at(claim) for steps in self.known) if known else self.novel.at(claim)
