"""What must not leave: numbers, addresses and names of people, taken out of texts before they are
sent to a model.

The rules err on the side of taking out: a shop is known by its words.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Final

import attrs

_LENGTHS: Final = """
AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28
EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26
IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28
NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25
SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
"""
IBAN_LENGTHS: Mapping[str, int] = {part[:2]: int(part[2:]) for part in _LENGTHS.split()}
"""By country: the register of SWIFT."""

_EMAIL = re.compile(r"[^\s@<>\"'(),;:]+@[^\s@<>\"'(),;:]+")
# Two letters and two digits, wherever they stand: what follows decides.
_IBAN_START = re.compile(r"(?=([A-Za-z]{2}[ .-]?[0-9][ .-]?[0-9]))")
# Digits with a little between them: cards, accounts, telephones, and what else is somebody's.
_DIGITS = re.compile(r"\+?\(?[0-9](?:[\W_]{0,3}[0-9])*")
_WORD = re.compile(r"[^\W\d_]+")
_LINKED = 7
"""Digits that make a number with gaps somebody's."""
_RUN = 6
"""Digits in a row that do so without."""
_MOST_DIGITS = 12
"""Of an amount: a card has 13."""


class Ours(str):
    """A text that Finora made, of nothing that anybody wrote. It is sent as it stands."""

    __slots__ = ()


@attrs.frozen
class Redactor:
    """Takes out what belongs to people. `names` are those whom the tenant knows."""

    names: frozenset[str] = frozenset()
    """Words of names, folded."""

    @classmethod
    def knowing(cls, names: Iterable[str]) -> "Redactor":
        """Of names as they are written; of initials and the like nothing is known."""
        words = (folded(word) for name in names for word in _WORD.findall(_plain(name)))
        return cls(frozenset(word for word in words if len(word) > 2))

    def text(self, text: str) -> str:
        text = _EMAIL.sub("[email]", _plain(text))
        text = _DIGITS.sub(_number, _without_ibans(text))
        return _WORD.sub(self._name, text) if self.names else text

    def value(self, value: object) -> object:
        """A JSON value without it. Texts by the rules above; keys are ours, and stay."""
        match value:
            case None | bool():
                return value
            case Ours():
                return str(value)
            case str():
                return self.text(value)
            case int() | Decimal():
                return _amount(value)
            case date():
                return value.isoformat()
            case Mapping():
                return {str(key): self.value(each) for key, each in value.items()}
            case list() | tuple():
                return [self.value(each) for each in value]
        raise TypeError(f"a model is not sent a {type(value).__name__}")

    def _name(self, word: re.Match[str]) -> str:
        return "[name]" if folded(word[0]) in self.names else word[0]


def folded(word: str) -> str:
    """Without case and accents: banks write names as their machines can."""
    parts = unicodedata.normalize("NFKD", word)
    return "".join(each for each in parts if not unicodedata.combining(each)).casefold()


def is_card(digits: str) -> bool:
    """Whether it is a card's number: 13 to 19 digits whose last one fits (Luhn)."""
    if not 13 <= len(digits) <= 19:
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + place % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def is_iban(text: str) -> bool:
    """Whether it is an IBAN, without gaps and in capitals (ISO 13616, mod 97)."""
    if IBAN_LENGTHS.get(text[:2]) != len(text) or not (text.isascii() and text.isalnum()):
        return False
    return int("".join(str(int(each, 36)) for each in text[4:] + text[:4])) % 97 == 1


@cache
def _class(character: str) -> str:
    """What a character is written as: any script's digit as ASCII's; nothing, if nobody sees it."""
    if unicodedata.category(character) in ("Cf", "Cc", "Cs", "Co", "Cn"):
        return " " if character in "\t\n\r" else ""
    digit = unicodedata.decimal(character, None)
    return character if digit is None else str(digit)


def _plain(text: str) -> str:
    # Composed last: an accent that belongs to a letter stays, one by itself goes.
    composed = unicodedata.normalize("NFKC", text)
    return composed if composed.isascii() and composed.isprintable() else _each(composed)


def _each(text: str) -> str:
    return "".join(map(_class, text))


def _without_ibans(text: str) -> str:
    kept, at = [], 0
    for start in _IBAN_START.finditer(text):
        if start.start() < at:
            continue
        end = _iban_end(text, start.start())
        if end is not None:
            kept += [text[at : start.start()], "[iban]"]
            at = end
    return "".join([*kept, text[at:]])


def _iban_end(text: str, start: int) -> int | None:
    """Where the IBAN that begins there ends; None if none does."""
    read = ""
    wanted = 0
    for place in range(start, min(len(text), start + 80)):
        character = text[place]
        if character.isascii() and character.isalnum():
            read += character.upper()
            if len(read) == 2:
                wanted = IBAN_LENGTHS.get(read, 0)
                if not wanted:
                    return None
            elif len(read) == wanted:
                return place + 1 if is_iban(read) else None
        elif character not in " .-":
            return None
    return None


def _number(found: re.Match[str]) -> str:
    text = found[0]
    digits = re.sub(r"[^0-9]", "", text)
    if is_card(digits):
        return "[card]"
    if len(digits) < (_RUN if digits in text else _LINKED):
        return text
    return "[phone]" if text[0] in "+(" or digits.startswith("00") else "[number]"


def _amount(value: int | Decimal) -> object:
    if isinstance(value, int):
        return value if abs(value) < 10**_MOST_DIGITS else "[number]"
    if not value.is_finite() or len(value.as_tuple().digits) > _MOST_DIGITS:
        return "[number]"
    return str(value)
