"""From what an answer claims to how often such answers were right."""

from bisect import bisect_left
from collections.abc import Sequence
from hashlib import blake2b

import attrs

from finora_core.categories.similar.model import SURE, Decision

FOLDS = 4
_LENT_RIGHT, _LENT = 1, 3
"""Answers of which one was right, that every step is lent: three of three are no proof."""

Tried = Sequence[tuple[float, bool]]
"""What was claimed, and whether it was right."""


def fold_of(decision: Decision, *, apart: bool) -> int:
    """In which fold it is tried; `apart`: with everything else of its merchant. By a digest, so
    that it does not change with what came before or after."""
    line = decision.line
    text = f"{line.key}|{line.direction}" if apart else str(decision.record_id)
    return blake2b(text.encode(), digest_size=8).digest()[0] % FOLDS


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
        return cls(
            tuple(claim for claim, _, _ in pools),
            tuple(SURE * (right + _LENT_RIGHT) // (count + _LENT) for _, right, count in pools),
        )

    def at(self, claim: float) -> int:
        if not self.upto:
            return 0
        return self.right[min(bisect_left(self.upto, claim), len(self.upto) - 1)]


@attrs.frozen
class Calibration:
    known: Steps = Steps()
    novel: Steps = Steps()

    @classmethod
    def of(cls, *, known: Tried, novel: Tried) -> "Calibration":
        return cls(Steps.of(known), Steps.of(novel))

    def confidence(self, claim: float, *, known: bool) -> int:
        """In basis points."""
        return (self.known if known else self.novel).at(claim)
