"""Statements of Pocketbank, a bank that exports one JSON document a line, for Finora."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any, BinaryIO

import attrs

from finora_core.plugins import (
    FaultyLine,
    StatementAccount,
    StatementFormat,
    StatementItem,
    StatementLine,
    StatementRefused,
    hookimpl,
)


@attrs.frozen
class Pocketbank:
    name = "pocketbank"

    def recognises(self, head: bytes, filename: str) -> int:
        return 90 if head.startswith(b'{"pocketbank":') else 0

    def layout(self, head: bytes) -> str | None:
        return None

    def read(self, file: BinaryIO, answers: Mapping[str, str]) -> Iterator[StatementItem]:
        opening = _object(file.readline())
        if opening is None:
            raise StatementRefused.at(1, "it does not begin with the account")
        yield StatementAccount(number=opening.get("account"), asset=opening.get("currency"))
        for place, line in enumerate(file, 2):
            yield _line(place, line)


def _line(place: int, line: bytes) -> StatementItem:
    said = _object(line)
    try:
        if said is None:
            raise ValueError("no object")
        return StatementLine(
            place=place,
            date=date.fromisoformat(said["on"]),
            amount=str(said["amount"]),
            description=str(said["text"]),
            bank_id=said.get("id"),
            raw=said,
        )
    except (KeyError, ValueError, TypeError) as error:
        return FaultyLine(place=place, reason=f"it cannot be read: {error}")


def _object(line: bytes) -> dict[str, Any] | None:
    """Amounts as text: a float would lose their digits."""
    try:
        said = json.loads(line, parse_float=str, parse_int=str)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


@hookimpl
def register_statement_formats(register: Callable[[StatementFormat], None]) -> None:
    register(Pocketbank())
