"""Numbers as banks write them, read strictly: into a plain decimal text, or not at all."""

import re
from functools import lru_cache

# Digits, alone or grouped in threes by one and the same mark, then a fraction.
_DIGITS = r"(?:[0-9]+|[0-9]{{1,3}}(?:([{group}])[0-9]{{3}})(?:\1[0-9]{{3}})*)?(?:\{mark}([0-9]*))?"
_BLANKS = "' \u00a0\u202f"
_PLAIN = {
    mark: re.compile(_DIGITS.format(mark=mark, group=group + _BLANKS), re.ASCII)
    for mark, group in ((".", ","), (",", "."))
}

# Longer than any number a bank writes; int() of thousands of digits takes seconds.
_LONGEST = 100


class BadNumber(ValueError):
    """The text is not a number in the given notation; the message says so in plain words."""


@lru_cache(maxsize=1)
def _signs() -> dict[str, str]:
    # The real minus, and the dashes that spreadsheets put in its place.
    return {"-": "-", "\u2212": "-", "\u2013": "-", "+": ""}


def plain_number(text: str, decimal: str = ".") -> str:
    """`"1.234,50-"` with decimal `","` is `"-1234.50"`.

    Takes one sign before or after, or brackets for a negative; digits, alone or grouped in threes
    by one mark that is not the decimal mark; a fraction. Raises BadNumber for anything else: an
    exponent, NaN, two decimal marks, a group of two digits, another script's digits, no digit.
    """
    body = text.strip()
    if len(body) > _LONGEST:
        raise BadNumber(f"{body[:20]!r}... is too long for a number")
    sign = ""
    if body.startswith("(") and body.endswith(")"):
        sign, body = "-", body[1:-1].strip()
    elif body[:1] in _signs():
        sign, body = _signs()[body[0]], body[1:].strip()
    elif body[-1:] in _signs():
        sign, body = _signs()[body[-1]], body[:-1].strip()
    match = _PLAIN[decimal].fullmatch(body)
    if match is None or not any(character.isdigit() for character in body):
        raise BadNumber(f"{text[:40]!r} is not a number with {decimal!r} as decimal mark")
    whole, _, fraction = body.partition(decimal)
    digits = "".join(character for character in whole if character.isdigit()).lstrip("0") or "0"
    return f"{sign}{digits}{'.' + fraction if fraction else ''}"
