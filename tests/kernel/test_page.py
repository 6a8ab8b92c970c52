"""Paging: cursors that were given out come back whole, everything else is refused."""

import base64
import json
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finora_core.kernel.page import (
    BadCursor,
    BadLimit,
    checked_limit,
    decode_cursor,
    encode_cursor,
)

ID = "01a1fc81-c0f9-7a24-85df-b1ebe106a179"


def raw(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), st.integers())
def test_a_cursor_comes_back_as_it_was(text: str, number: int) -> None:
    cursor = encode_cursor(text, number)
    if abs(number) < 2**63:
        assert decode_cursor(cursor, (str, int)) == [text, number]
    else:
        with pytest.raises(BadCursor):
            decode_cursor(cursor, (str, int))
    assert cursor.isascii()
    assert not set("=&?# ") & set(cursor)


def test_keys_are_read_as_what_they_are() -> None:
    cursor = encode_cursor("2026-02-28", ID, 3, "2026-02-28T10:00:00.000001+00:00")
    assert decode_cursor(cursor, (date, UUID, int, datetime)) == [
        date(2026, 2, 28), UUID(ID), 3, datetime(2026, 2, 28, 10, 0, 0, 1, UTC),
    ]  # fmt: skip


GARBAGE = (
    "", "x", "!!!", "A", "====", "\x00", "ü", "\ud800", "null", "e30", ID, "a" * 10_000,
    raw([]), raw({}), raw(None), raw("ab"), raw(7), raw(["2026-01-01"]),
    raw(["2026-01-01", ID, 1, 1]), raw(["2026-01-01", ID, True]), raw(["2026-01-01", ID, 1.0]),
    raw(["2026-01-01", ID, float("nan")]), raw(["2026-01-01", ID, None]),
    raw(["2026-01-01", ID, [1]]), raw(["2026-01-01", ID, "1"]), raw(["2026-01-01", ID, 2**63]),
    raw(["2026-02-30", ID, 1]), raw(["infinity", ID, 1]), raw(["'; drop table x", ID, 1]),
    raw([20260101, ID, 1]), raw([{}, ID, 1]), raw(["2026-01-01", "no id", 1]),
    raw(["2026-01-01", 5, 1]), raw(["2026-01-01", "", 1]), raw(["2026-01-01", "\x00", 1]),
    base64.b64encode(b"\xff\xfe\x00").decode(), base64.b64encode(b"[" * 200_000).decode(),
    base64.b64encode(b'["2026-01-01", "%s", %s]' % (ID.encode(), b"9" * 5_000)).decode(),
)  # fmt: skip


@pytest.mark.parametrize("cursor", GARBAGE, ids=lambda cursor: repr(cursor[:16]))
def test_what_no_listing_gave_out_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursor):
        decode_cursor(cursor, (date, UUID, int))


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud800"])
def test_a_text_that_postgres_cannot_take_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        decode_cursor(raw([text]), (str,))


def test_an_instant_without_a_time_zone_is_refused() -> None:
    with pytest.raises(BadCursor):
        decode_cursor(encode_cursor("2026-01-01T00:00:00"), (datetime,))


@given(st.binary(max_size=60))
def test_random_bytes_are_refused_and_never_an_error(data: bytes) -> None:
    with pytest.raises(BadCursor):
        decode_cursor(base64.urlsafe_b64encode(data).decode(), (date, UUID, int))


@pytest.mark.parametrize("limit", [0, -1, 1001, 10**30])
def test_a_page_has_1_to_1000_items(limit: Any) -> None:
    with pytest.raises(BadLimit):
        checked_limit(limit)
    assert [checked_limit(each) for each in (1, 1000)] == [1, 1000]
