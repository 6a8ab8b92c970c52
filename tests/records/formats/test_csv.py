"""CSV: real files, each rule, round trips, bad input, hostile input."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finora_core.plugins import (
    FaultyLine,
    StatementAccount,
    StatementAmbiguous,
    StatementBalance,
    StatementEmpty,
    StatementItem,
    StatementLine,
    StatementRefused,
    StatementTooLarge,
)
from finora_core.records.formats.csv import CsvStatements
from finora_core.records.formats.csv.dates import readings as dates_of
from finora_core.records.formats.csv.words import NAMES, plain, roles_of
from shared_data import SHARED, needs_shared

CSV = CsvStatements()
FOLDER = SHARED / "bank" / "csv"
DETECTS = pytest.mark.spec("S0-62", partial=True)
BY_NAME = pytest.mark.spec("S2-27", partial=True)


def items(data: bytes | str, **answers: str) -> list[StatementItem]:
    return list(CSV.read(io.BytesIO(data.encode() if isinstance(data, str) else data), answers))


def only[T: StatementItem](kind: type[T], found: Iterable[StatementItem]) -> list[T]:
    return [item for item in found if isinstance(item, kind)]
