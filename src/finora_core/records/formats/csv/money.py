"""Cells that hold an amount of money: a number with perhaps a currency beside it."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from finora_core.kernel.currencies import DIGITS
from finora_core.records.formats.numbers import BadNumber, plain_number

MARKS = (".", ",")

_UNIT = re.compile(r"[^\W\d_]{0,3}[$€£¥₹₽₺₩₪฿₫₴₦]|[^\W\d_]{1,4}\.?")
_SYMBOLS = {
    "€": "EUR", "£": "GBP", "zł": "PLN", "kč": "CZK", "₹": "INR", "₽": "RUB", "₺": "TRY",
    "₩": "KRW", "₪": "ILS", "฿": "THB", "₫": "VND", "₴": "UAH", "₦": "NGN", "r$": "BRL",
    "us$": "USD", "a$": "AUD", "c$": "CAD", "ca$": "CAD", "hk$": "HKD", "nz$": "NZD", "s$": "SGD",
    "ft": "HUF", "lei": "RON", "fr": "CHF", "sfr": "CHF",
}  # fmt: skip
_SHARED = frozenset(("$", "¥", "kr"))  # several countries': a unit, but no currency code
_CODE = re.compile(r"[A-Z][A-Z0-9]{1,9}")

# What nearly every cell is, so that most never reach plain_number.
_FAST = {
    ".": re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?").fullmatch,
    ",": re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:,[0-9]{1,18})?").fullmatch,
}
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})").fullmatch


def code_of(unit: str) -> str | None:
    """The currency a unit names: `EUR` and `€` do, `$` does not."""
    bare = unit.strip().rstrip(".")
    code = bare.upper()
    return code if code in DIGITS else _SYMBOLS.get(bare.lower())


def asset_of(cell: str) -> str:
    """The code in a cell of a currency column; raises BadNumber where it holds something else."""
    code = code_of(cell) or cell.strip().upper()
    if not _CODE.fullmatch(code):
        raise BadNumber(f"{cell[:20]!r} is not a currency")
    return code


@lru_cache(maxsize=4096)
def _split(text: str) -> tuple[str, str]:
    match = _UNIT.search(text)
    if match is None:
        return text, ""
    unit = match[0].rstrip(".").lower()
    if code_of(unit) is None and unit not in _SHARED:
        raise BadNumber(f"{text[:40]!r} is not a number")
    # Joined with nothing between: what stood around the unit must be one number.
    before, after = text[: match.start()].strip(), text[match.end() :].strip()
    if after and before not in ("", "-", "+", "(", "\u2212", "\u2013"):
        raise BadNumber(f"{text[:40]!r} is not a number")
    return before + after, code_of(unit) or unit


def split(text: str) -> tuple[str, str]:
    """`"€ 12,50"` is `("12,50", "EUR")`; the unit is empty where the cell has none."""
    return _split(text) if len(text) <= 100 else (text, "")


@lru_cache(maxsize=8192)
def _readings(text: str) -> Mapping[str, str]:
    found = {}
    for mark in MARKS:
        try:
            found[mark] = plain_number(split(text)[0], mark)
        except BadNumber:
            continue
    return found


def readings(text: str) -> Mapping[str, str]:
    """Every number `text` can mean, by decimal mark; empty where it is none."""
    if _WHOLE(text):
        return {".": text, ",": text}
    return _readings(text) if len(text) <= 100 else {}


def negate(number: str) -> str:
    """The other sign; zero has none."""
    if not number.strip("-0."):
        return number.lstrip("-")
    return number[1:] if number[0] == "-" else "-" + number


def is_zero(number: str) -> bool:
    return not number.strip("-0.")


def cell_reader(mark: str, unit: str | None) -> Callable[[str], str]:
    """A function from a cell to its plain number. `unit` is the statement's: a cell with another
    one is refused, since the sum would mix currencies; None where a column says the currency."""
    fast = _FAST[mark]

    def read(text: str) -> str:
        if fast(text):
            return text if mark == "." else text.replace(",", ".")
        if not text or text.isspace():
            raise BadNumber("no amount")
        number, found = split(text)
        if found and unit is not None and found != unit:
            raise BadNumber(f"{text[:40]!r} is in another currency than the lines before")
        return plain_number(number, mark)

    return read
