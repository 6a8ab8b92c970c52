"""Texts as vectors of the letters in them: runs of three and four, hashed. No weights, nothing to
fetch, the same everywhere. It sees that two texts are written alike, not that they mean the same.
"""

import math
import unicodedata
import zlib
from collections.abc import Sequence
from typing import ClassVar

import attrs

from finora_core.kernel.outcome import Ok, Outcome
from finora_core.plugins import ModelAccess, Vector

_DIMENSION = 512
_RUNS = (3, 4)


@attrs.frozen
class HashingEmbeddings:
    access: ModelAccess = attrs.field(factory=ModelAccess)
    name: ClassVar[str] = "hashing"

    @property
    def model(self) -> str:
        return f"hashing-{_DIMENSION}"

    @property
    def dimension(self) -> int:
        return _DIMENSION

    def embed(self, texts: Sequence[str]) -> Outcome[Sequence[Vector]]:
        return Ok([_vector(text) for text in texts])


def _vector(text: str) -> Vector:
    folded = unicodedata.normalize("NFKC", text).casefold()
    # A space at each end of a word, so that how it begins counts as what it is.
    read = f" {' '.join(folded.split())} ".encode()
    sums = [0] * _DIMENSION
    if not read.isspace():
        for length in _RUNS:
            for start in range(len(read) - length + 1):
                hashed = zlib.crc32(read[start : start + length])
                # The sign keeps two runs that fall together from always adding up.
                sums[hashed % _DIMENSION] += 1 if hashed & 0x8000_0000 else -1
    size = math.sqrt(sum(each * each for each in sums))
    return [each / size for each in sums] if size else [0.0] * _DIMENSION
