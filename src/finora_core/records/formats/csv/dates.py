"""Dates as banks write them, read strictly; a text may mean two dates, and then says so."""

import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from types import MappingProxyType

from finora_core.records.formats.csv.words import plain

ORDERS = ("dmy", "mdy", "ymd")

# Longer than any date with time and zone; keeps the patterns below from long texts.
_LONGEST = 48

# The day is the one the bank printed: a zone is allowed and never applied.
_TIME = (
    r"(?:[T\s,]\s*(?:[01]?[0-9]|2[0-3])[:.][0-5][0-9](?:[:.](?:[0-5][0-9]|60))?(?:[.,:][0-9]{1,9})?"
    r"\s?(?:[AaPp]\.?[Mm]\.?)?\s?(?:Z|[A-Z]{3,4}|(?:UTC|GMT)?[+-][01][0-9]:?(?:[0-5][0-9])?)?)?"
)
_ISO = re.compile(rf"([0-9]{{4}})([-/.])([0-9]{{1,2}})\2([0-9]{{1,2}})\.?{_TIME}")
_COMPACT = re.compile(
    r"((?:19|20|21)[0-9]{2})(0[1-9]|1[0-2])([0-3][0-9])(?:[0-2][0-9][0-5][0-9]{3})?"
)
_YEAR = r"([0-9]{4}|[0-9]{2})"
_NAME = r"([^\W\d_]{3,12})"
_DAY = r"([0-9]{1,2})(?:st|nd|rd|th)?"
_PARTS = re.compile(rf"([0-9]{{1,2}})( ?[-/.#] ?)([0-9]{{1,2}})\2{_YEAR}\.?{_TIME}")
_DAY_NAME = re.compile(rf"{_DAY}[-/. ]{{1,2}}{_NAME}[-/., ]{{1,2}}{_YEAR}{_TIME}")
_NAME_DAY = re.compile(rf"{_NAME}[-. ]{{1,2}}{_DAY}[-, ]{{1,2}}([0-9]{{4}}){_TIME}")

_MONTHS = (
    "january jan januar januari janvier janv enero ene gennaio gen janeiro styczen sty leden ledna",
    "february feb februar februari fevrier fevr fev febrero febbraio fevereiro luty unor unora",
    "march mar marz mrz maart mrt mars marzo marco marzec brezen brezna",
    "april apr avril avr abril abr aprile kwiecien kwi duben dubna",
    "may mai mei mayo maggio mag maio maj kveten kvetna",
    "june jun juni juin junio giugno giu junho czerwiec cze cerven cervna",
    "july jul juli juillet juil julio luglio lug julho lipiec lip cervenec cervence",
    "august aug augustus aout agosto ago augusti sierpien sie srpen srpna",
    "september sep sept septembre septiembre settembre set setembro wrzesien wrz zari",
    "october oct oktober okt octobre octubre ottobre ott outubro out pazdziernik paz rijen rijna",
    "november nov novembre noviembre novembro listopad listopadu lis",
    "december dec dezember dez decembre diciembre dic dicembre dezembro grudzien gru prosinec",
)
_MONTH_OF = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split()}

_NONE: Mapping[str, date] = MappingProxyType({})


class BadDate(ValueError):
    """The text is not a date, or not in the file's notation; the message says so."""


def _same(year: int, month: int, day: int) -> Mapping[str, date]:
    try:
        return dict.fromkeys(ORDERS, date(year, month, day))
    except ValueError:
        return _NONE


def _year(text: str) -> int:
    year = int(text)
    if len(text) == 4:
        return year
    return year + (2000 if year < 70 else 1900)  # as POSIX reads %y; no clock is asked


def _ordered(first: str, second: str, third: str) -> Mapping[str, date]:
    parts = {"dmy": (third, second, first), "mdy": (third, first, second)}
    if len(third) == 2:
        parts["ymd"] = (first.zfill(2), second, third)
    found = {}
    for order, (year, month, day) in parts.items():
        try:
            found[order] = date(_year(year), int(month), int(day))
        except ValueError:
            continue
    return found


@lru_cache(maxsize=8192)
def readings(text: str) -> Mapping[str, date]:
    """Every date `text` can mean, by order; the same date for all orders where it is plain."""
    text = text.strip()
    if not 6 <= len(text) <= _LONGEST:
        return _NONE
    if match := _ISO.fullmatch(text):
        return _same(int(match[1]), int(match[3]), int(match[4]))
    if match := _COMPACT.fullmatch(text):
        return _same(int(match[1]), int(match[2]), int(match[3]))
    if match := _PARTS.fullmatch(text):
        return _ordered(match[1], match[3], match[4])
    if match := _DAY_NAME.fullmatch(text):
        return _same(_year(match[3]), _MONTH_OF.get(plain(match[2]), 0), int(match[1]))
    if match := _NAME_DAY.fullmatch(text):
        return _same(int(match[3]), _MONTH_OF.get(plain(match[1]), 0), int(match[2]))
    return _NONE


def is_plain(found: Mapping[str, date]) -> bool:
    """Whether the readings need no order to be chosen between them."""
    return len(found) == len(ORDERS) and len(set(found.values())) == 1


def is_dotted(text: str) -> bool:
    """`31.12.2024`: nobody writes the month first with dots."""
    return text.strip()[1:4].count(".") > 0


class Days(dict[str, date]):
    """Text -> date in one order, each text read once."""

    def __init__(self, order: str | None) -> None:
        super().__init__()
        self._order = order

    def __missing__(self, text: str) -> date:
        found = readings(text)
        if self._order and self._order in found:
            day = found[self._order]
        elif is_plain(found):
            day = found["dmy"]
        elif not text.strip():
            raise BadDate("no date")
        else:
            order = " in this file's order" if found else ""
            raise BadDate(f"{text[:40]!r} is not a date{order}")
        if len(self) >= 20_000:  # timestamps differ in every line; days do not
            self.clear()
        self[text] = day
        return day
