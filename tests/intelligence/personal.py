"""Texts that must not leave, made by the rules that they are made by."""

from collections.abc import Callable

from hypothesis import strategies as st

from finora_core.intelligence.redaction import IBAN_LENGTHS

GAPS = st.sampled_from(["", " ", "-", ".", "  "])
SEPARATORS = st.sampled_from([" ", ", ", ": ", " /", "\t", "*", "#", ""])
WORDS = st.text(
    st.characters(categories=["Lu", "Ll", "Lo", "Zs", "Po"], exclude_characters="@"), max_size=20
)


def luhn(body: str) -> str:
    """With its check digit."""
    for digit in range(10):
        total = 0
        for place, each in enumerate(reversed(f"{body}{digit}")):
            doubled = int(each) * (2 if place % 2 else 1)
            total += sum(divmod(doubled, 10))
        if total % 10 == 0:
            return f"{body}{digit}"
    raise AssertionError


def mod97(country: str, bban: str) -> str:
    digits = "".join(str(int(each, 36)) for each in f"{bban}{country}00")
    return f"{country}{98 - int(digits) % 97:02}{bban}"


@st.composite
def cards(draw: Callable[..., str]) -> str:
    number = luhn(draw(st.text("0123456789", min_size=12, max_size=18)))
    gap = draw(GAPS)
    return gap.join(number[at : at + 4] for at in range(0, len(number), 4))


@st.composite
def ibans(draw: Callable[..., str]) -> str:
    country = draw(st.sampled_from(sorted(IBAN_LENGTHS)))
    size = IBAN_LENGTHS[country] - 4
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    number = mod97(country, draw(st.text(letters, min_size=size, max_size=size)))
    if draw(st.booleans()):
        number = number.lower()
    gap = draw(st.sampled_from(["", " ", "-", "."]))
    return gap.join(number[at : at + 4] for at in range(0, len(number), 4))


@st.composite
def emails(draw: Callable[..., str]) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789._+-"
    local = draw(st.text(letters, min_size=1, max_size=20))
    domain = draw(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=15))
    return f"{local}@{domain}.example"


@st.composite
def phones(draw: Callable[..., str]) -> str:
    parts = draw(st.lists(st.text("0123456789", min_size=2, max_size=4), min_size=4, max_size=5))
    return draw(st.sampled_from(["+", "00", "0", "(0)"])) + draw(GAPS).join(parts)


NUMBERS = st.text("0123456789", min_size=7, max_size=30)
KINDS = {"card": cards(), "iban": ibans(), "email": emails(), "phone": phones(), "number": NUMBERS}
