"""What the benchmarks share: a place of their own, made-up lines, a table and one line of JSON."""

import csv
import json
import random
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import attrs

# The folder of the script comes first on the path, and `http.py` in it would stand for Python's.
sys.path.append(sys.path.pop(0))
from http.client import HTTPConnection as HTTPConnection
from http.client import HTTPException as HTTPException

CARDS = Path(__file__).parents[1].parent / "shared" / "data" / "categorise"
FIRST_DAY = date(2015, 1, 1)
DAYS = 3_650
LAST_DAY = FIRST_DAY + timedelta(DAYS - 1)

_WORDS = ("CARD PAYMENT", "DIRECT DEBIT", "STANDING ORDER", "ONLINE", "CONTACTLESS", "REFUND")
_PLACES = ("AMSTERDAM", "PRAHA", "LYON", "KØBENHAVN", "Köln", "Málaga", "WIEN", "GDYNIA")
_TRADES = ("Bakery", "Market", "Garage", "Books", "Pharmacy", "Rail", "Energy", "Cinema", "Gym")


@attrs.frozen
class Line:
    """One line of a made-up statement."""

    day: date
    cents: int
    description: str
    counterparty: str

    @property
    def amount(self) -> str:
        return _decimal(self.cents)

    @property
    def negative(self) -> str:
        return _decimal(-self.cents)


def _decimal(cents: int) -> str:
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"


def lines(count: int, seed: int = 1) -> Iterator[Line]:
    """`count` lines of ten years, oldest first; every hundredth is its neighbour once more."""
    chance = random.Random(seed)
    shops = [f"{chance.choice(_TRADES)} {chance.choice(_PLACES)} {n}" for n in range(500)]
    line = None
    for number in range(count):
        if line is None or number % 100:
            spent = -chance.randint(99, 30_000)
            line = Line(
                day=FIRST_DAY + timedelta(number * DAYS // count),
                cents=spent if number % 12 else chance.randint(100_000, 500_000),
                description=f"{chance.choice(_WORDS)} {chance.randint(1, 10**6)} "
                f"{chance.choice(_PLACES)}",
                counterparty=chance.choice(shops),
            )
        yield line


def cards(count: int) -> list[Line]:
    """The lines of a council's card purchases, which lie in ../shared/data: one file after another
    until there are so many, over the ten years."""
    found = []
    for path in sorted(CARDS.glob("birmingham-*.csv")):
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            for row in csv.DictReader(file):
                cents = -int(row["ORIGINAL GROSS AMT"].replace(",", "").replace(".", ""))
                found.append((row["MERCHANT NAME"], cents))
    return [
        Line(FIRST_DAY + timedelta(n * DAYS // count), found[n % len(found)][1],
             found[n % len(found)][0], "")
        for n in range(count)
    ]  # fmt: skip


def write_csv(path: Path, written: Iterable[Line]) -> None:
    """Write a bank's plain CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("Date", "Amount", "Description", "Counterparty"))
        writer.writerows((x.day, x.amount, x.description, x.counterparty) for x in written)


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder for this run alone, gone afterwards. Its path is short, as a unix socket's must be,
    and open, since the server of a superuser's run is another user's."""
    folder = Path(tempfile.mkdtemp(prefix="fb-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@attrs.define
class Watch:
    """Seconds since it was made, or since the last lap."""

    start: float = attrs.field(factory=time.perf_counter)

    def lap(self) -> float:
        now = time.perf_counter()
        passed, self.start = now - self.start, now
        return passed


def show(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table: the first column to the left, the others to the right."""
    cells = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for at, row in enumerate(cells):
        first, *others = zip(row, widths, strict=True)
        print("  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]))
        if at == 0:
            print("  ".join("-" * width for width in widths))


def finish(**figures: float | int | str | None) -> None:
    """Print the figures as the last line: one JSON object."""
    rounded = {
        key: round(value, 4) if isinstance(value, float) else value
        for key, value in figures.items()
    }
    print(json.dumps(rounded), flush=True)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
