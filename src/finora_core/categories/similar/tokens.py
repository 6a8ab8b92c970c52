"""What of a line is counted: words, their runs of three and four letters, kinds of merchants."""

import re

from finora_core.categories.similar.model import Line
from finora_core.categories.similar.words import KINDS_OF

_WORD = re.compile(r"[^\W_]+")
_MOST = 400
"""Tokens of one merchant; a text longer than any merchant's name is cut."""


def tokens(key: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the merchant is written with, and the kinds of merchant that its words name; each
    once, in an order of its own."""
    key = key.casefold()
    words = key.split()
    found = {f"w {word}" for word in words}
    if words:
        found.add(f"first {words[0]}")
    for word in words:
        padded = f" {word} "
        for size in (3, 4):
            found.update(padded[at : at + size] for at in range(len(padded) - size + 1))
    kinds = {kind for part in _WORD.findall(key) for kind in KINDS_OF.get(part, ())}
    return tuple(sorted(found))[:_MOST], tuple(sorted(kinds))


def size_of(line: Line) -> str:
    """The amount's order of magnitude, and whether it is round. Doubled: steps of about 1.4."""
    units = abs(line.units)
    whole = 10**line.scale
    round_ = units >= 5 * whole and units % (5 * whole) == 0
    # In hundredths whatever the scale, so that a yen and a euro are counted alike.
    return f"{line.direction} {(units * units * 10_000 // (whole * whole)).bit_length()} {round_}"
