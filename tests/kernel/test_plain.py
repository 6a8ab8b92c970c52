"""Anything of ours as JSON values."""

import json
from collections import OrderedDict
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID

import attrs
import pytest

from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import currency
from finora_core.kernel.plain import to_plain


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Pair(Enum):
    BOTH = (1, Colour.RED)


@attrs.frozen
class Inner:
    amount: Amount
    when: datetime


@attrs.frozen
class Outer:
    id: UUID
    inner: tuple[Inner, ...]
    colour: Colour
    missing: None = None


def test_a_nested_thing_becomes_plain_values_of_plain_types() -> None:
    inner = Inner(Amount(-5, currency("EUR")), datetime(2026, 1, 2, 3, 4, 5, 6, UTC))
    plain: Any = to_plain(Outer(UUID(int=1), (inner,), Colour.RED))
    assert plain == {
        "id": "00000000-0000-0000-0000-000000000001",
        "inner": [
            {
                "amount": {"amount": "-0.05", "asset": "EUR"},
                "when": "2026-01-02T03:04:05.000006+00:00",
            }
        ],
        "colour": "red",
        "missing": None,
    }
    assert type(plain["colour"]) is str
    assert json.loads(json.dumps(plain)) == plain


@pytest.mark.parametrize(
    ("value", "plain"),
    [(True, True), (2**300, 2**300), ("x", "x"), (None, None), (Level.HIGH, 3), (Pair.BOTH,
     [1, "red"]), (Decimal("1.10"), "1.10"), (date(2026, 1, 1), "2026-01-01"), ({1}, [1]),
     (frozenset(), []), (currency("JPY"), "JPY"), (OrderedDict({UUID(int=2): (1,)}),
     {"00000000-0000-0000-0000-000000000002": [1]})],
    ids=str,
)  # fmt: skip
def test_each_kind_has_its_form(value: object, plain: object) -> None:
    assert to_plain(value) == plain


@pytest.mark.parametrize("value", [1.5, float("nan"), b"x", object(), 1j, [2.0], {"a": {"b": 0.1}}])
def test_a_float_or_a_stranger_has_none(value: object) -> None:
    with pytest.raises(TypeError):
        to_plain(value)
