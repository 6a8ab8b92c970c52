"""Anything of ours as JSON values: what job results, replies and `--json` are made of."""

import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset


def to_plain(value: object) -> object:
    """Dicts, lists, text, whole numbers, booleans and None. Money is {"amount", "asset"}."""
    match value:
        case None | bool() | int() | str() if not isinstance(value, Enum):
            return value
        case Enum():
            return to_plain(value.value)
        case Amount():
            return {"amount": value.text, "asset": value.asset.id}
        case Asset():
            return value.id
        case UUID() | Decimal():
            return str(value)
        case datetime() | date():
            return value.isoformat()
        case Mapping():
            return {str(key): to_plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [to_plain(item) for item in value]
    kind: type[object] = type(value)
    if attrs.has(kind):
        return {field.name: to_plain(getattr(value, field.name)) for field in attrs.fields(kind)}
    raise TypeError(f"{type(value).__name__} has no plain form")


def canonical(value: object) -> str:
    """One text for one JSON value: sorted keys, no spaces, plain UTF-8 (RFC 8785 for our values,
    which hold no fractions)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
