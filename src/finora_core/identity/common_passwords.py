"""Passwords that are guessed first.

The list is of zxcvbn 4.5 (MIT) and Django 5.2 (BSD), with some of our own, in small letters:
those that are long enough to be taken at all, and the most used words, to which people add a year
and a sign.
"""

import gzip
from importlib.resources import files

_LEAST = 10
_MOST_AROUND = 8
_AROUND = "0123456789 !?.,:;*#$%&@_+-="


def _lines() -> list[str]:
    packed = files(__package__).joinpath("common_passwords.txt.gz").read_bytes()
    return gzip.decompress(packed).decode().split()


COMMON = frozenset(each for each in _lines() if len(each) >= _LEAST)
STEMS = frozenset(each for each in _lines() if len(each) < _LEAST)


def is_common(folded: str) -> bool:
    """Whether it is one of them, or one of their words with a few digits and signs around it."""
    stem = folded.strip(_AROUND)
    return folded in COMMON or (stem in STEMS and len(folded) - len(stem) <= _MOST_AROUND)
