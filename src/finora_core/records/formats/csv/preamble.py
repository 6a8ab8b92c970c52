"""What the lines before the header say of the account."""

from collections.abc import Iterator

from finora_core.kernel.currencies import DIGITS
from finora_core.records.formats.csv.columns import is_iban
from finora_core.records.formats.csv.words import ACCOUNT_LABELS, CURRENCY_LABELS, plain

Preamble = tuple[tuple[str, ...], ...]


def _labelled(preamble: Preamble) -> Iterator[tuple[str, str]]:
    """Every label with what follows it, in its own cell after a colon or in the next cell."""
    for row in preamble:
        cells = [cell.strip() for cell in row if cell.strip()]
        for cell, following in zip(cells, [*cells[1:], ""], strict=True):
            label, _, rest = cell.partition(":")
            yield plain(label), rest.strip() or following


def account_in(preamble: Preamble) -> str | None:
    """The account number or IBAN that the lines name plainly."""
    for label, value in _labelled(preamble):
        number = value.split("/")[0].strip()
        if label in ACCOUNT_LABELS and (is_iban(number) or sum(map(str.isdigit, number)) >= 4):
            return number
    ibans = {cell.strip() for row in preamble for cell in row if is_iban(cell.strip())}
    return ibans.pop() if len(ibans) == 1 else None


def currency_in(preamble: Preamble) -> str | None:
    """The currency code that the lines name plainly."""
    for label, value in _labelled(preamble):
        if label in CURRENCY_LABELS and value.upper() in DIGITS:
            return value.upper()
    return None
