"""QIF: real files, each rule, what is asked, bad input, hostile input."""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finora_core.kernel.amount import units_of
from finora_core.plugins import (
    FaultyLine,
    Reading,
    StatementAccount,
    StatementAmbiguous,
    StatementEmpty,
    StatementItem,
    StatementLine,
    StatementRefused,
    StatementTooLarge,
)
from finora_core.records.formats.qif import QifStatements
from shared_data import SHARED, needs_shared

QIF = QifStatements()
FOLDER = SHARED / "bank" / "qif"
PROVES = pytest.mark.spec("S0-62", partial=True)


def shortly(value: object) -> str:
    """An id for parameters that are long texts."""
    return repr(value)[:40]


def items(data: bytes | str, answers: Mapping[str, str] | None = None) -> list[StatementItem]:
    file = io.BytesIO(data.encode() if isinstance(data, str) else data)
    return list(QIF.read(file, answers or {}))


def lines_of(found: list[StatementItem]) -> list[StatementLine]:
    return [item for item in found if isinstance(item, StatementLine)]


def record(day: str = "2024-01-15", amount: str = "-12.34", *rest: str) -> str:
    return "\n".join([f"D{day}", f"T{amount}", *rest, "^\n"])


def qif(*records: str, header: str = "!Type:Bank\n") -> str:
    return header + "".join(records)


def dates(*days: str, answers: Mapping[str, str] | None = None) -> list[date]:
    return [line.date for line in lines_of(items(qif(*map(record, days)), answers))]


def amounts(*texts: str, answers: Mapping[str, str] | None = None) -> list[str]:
    records = [record("2024-01-15", text) for text in texts]
    return [line.amount for line in lines_of(items(qif(*records), answers))]


def asked(data: str, answers: Mapping[str, str] | None = None) -> StatementAmbiguous:
    with pytest.raises(StatementAmbiguous) as ambiguous:
        items(data, answers)
    assert ambiguous.value.code == "STATEMENT_AMBIGUOUS"
    return ambiguous.value


# --- real files ----------------------------------------------------------------------------------

EXPECTED: dict[str, Any] = (
    json.loads((FOLDER / "expected" / "quiffen-summary.json").read_text())
    if FOLDER.is_dir()
    else {}
)
# A list of accounts and categories is no statement; quiffen makes an account without lines of it.
NO_STATEMENT = {"quiffen-empty.qif", "quiffen-test_category_inherit.qif"}
# 22/12/2017 shows that the day comes first in all of the file; quiffen decides date by date.
DAY_FIRST = {("quiffen-test_category_override.qif", "2018-02-01"): "2018-01-02"}


@needs_shared
@PROVES
@pytest.mark.parametrize("name", sorted(set(EXPECTED) - NO_STATEMENT))
def test_real_file(name: str) -> None:
    account, *lines = items((FOLDER / name).read_bytes())
    assert account == StatementAccount(number=None, asset=None, kind="asset")
    # Its investments are for what reads trades.
    wanted = EXPECTED[name]["accounts"]["Quiffen Default Account"]["Bank"]
    assert len(lines) == len(wanted)
    for line, facts in zip(lines, wanted, strict=True):
        assert isinstance(line, StatementLine)
        day = DAY_FIRST.get((name, facts["date"]), facts["date"])
        assert line.date == date.fromisoformat(day)
        assert units_of(line.amount, 2) == Decimal(facts["amount"]).scaleb(2)
        assert line.counterparty == facts["payee"]
        # Where there is no memo, the payee describes the line.
        assert line.description == (facts["memo"] or facts["payee"])
        # quiffen keeps the last level of a category; and --Split-- is the absence of one.
        category = None if facts["category"] == "--Split--" else facts["category"]
        assert (line.category or "").rpartition(":")[2] == (category or "")
        compare_splits(line, facts["splits"])


def compare_splits(line: StatementLine, wanted: list[list[str | None]]) -> None:
    assert isinstance(line.raw, dict)
    splits = line.raw.get("splits", [])
    assert [split["$"] for split in splits] == [amount for amount, _, _ in wanted]
    assert [split.get("E") for split in splits] == [memo for _, _, memo in wanted]


@needs_shared
@PROVES
def test_real_file_with_whole_categories() -> None:
    # The README's row of this file.
    found = lines_of(items((FOLDER / "actual-with-categories.qif").read_bytes()))
    assert [(line.date, line.amount, line.category) for line in found] == [
        (date(2018, 12, 19), "-100.58", "Usual Expenses:Shopping"),
        (date(2018, 12, 19), "-20.15", "Groceries"),
        (date(2018, 12, 19), "-40.60", "Food"),
    ]


@needs_shared
@PROVES
def test_real_file_with_us_dates_and_grouped_amounts() -> None:
    # The README says 4 lines; the file has 5, and quiffen's summary too.
    found = lines_of(items((FOLDER / "oca-test_qif.qif").read_bytes()))
    assert [(line.date, line.amount) for line in found] == [
        (date(2013, 8, 12), "-1000.00"),
        (date(2013, 8, 15), "-75.46"),
        (date(2013, 3, 3), "-379.00"),
        (date(2013, 3, 4), "-20.28"),
        (date(2013, 3, 3), "-421.35"),
    ]


@needs_shared
@PROVES
@pytest.mark.parametrize("name", sorted(NO_STATEMENT))
def test_real_file_without_transactions(name: str) -> None:
    with pytest.raises(StatementEmpty):
        items((FOLDER / name).read_bytes())


@needs_shared
@PROVES
def test_every_real_file_is_recognised_and_none_of_another_format() -> None:
    for path in FOLDER.glob("*.qif"):
        sure = QIF.recognises(path.read_bytes()[:65536], "statement.txt")
        assert sure == (95 if path.stat().st_size else 0)
    for path in [*SHARED.glob("bank/ofx/*.ofx"), *SHARED.glob("bank/mt940/*.*")]:
        assert QIF.recognises(path.read_bytes()[:65536], path.name) == 0


@needs_shared
@PROVES
def test_every_real_file_says_the_same_in_other_clothes() -> None:
    for path in FOLDER.glob("*.qif"):
        if path.name in NO_STATEMENT:
            continue
        wanted, text = items(path.read_bytes()), path.read_text()
        for dressed in (
            text.replace("\n", "\r\n").encode(),
            text.replace("\n", "\r").encode(),
            b"\xef\xbb\xbf" + text.encode(),
            text.encode("utf-16"),
        ):
            assert items(dressed) == wanted


# --- recognition ---------------------------------------------------------------------------------


@PROVES
@pytest.mark.parametrize(
    ("head", "filename", "sure"),
    [
        (b"!Type:Bank\n", "a.txt", 95),
        (b"\xef\xbb\xbf!type:bank\n", "a", 95),
        ("!Account\n".encode("utf-16"), "a", 95),
        (b"# mine\r\n!Option:AutoSwitch\r\n", "a", 95),
        (b"D1/2/2020\n", "a.QIF", 30),
        (b"Date,Amount\n1,!Type:Bank", "a.csv", 0),
        (b"", "a", 0),
    ],
)
def test_recognises(head: bytes, filename: str, sure: int) -> None:
    assert QIF.recognises(head, filename) == sure


def test_one_layout_for_all() -> None:
    assert QIF.layout(b"!Type:Bank\n") == QIF.layout(b"!Account\n") == "qif"
    assert QIF.name == "qif"


# --- accounts ------------------------------------------------------------------------------------


@PROVES
@pytest.mark.parametrize(
    ("kind", "side"),
    [
        ("Bank", "asset"),
        ("Cash", "asset"),
        ("CCard", "liability"),
        ("Oth A", "asset"),
        ("Oth L", "liability"),
        ("bank ", "asset"),
        (" OTH L", "liability"),
    ],
)
def test_kinds_of_account(kind: str, side: str) -> None:
    found = items(qif(record(), header=f"!Type:{kind}\n"))
    assert found[0] == StatementAccount(number=None, asset=None, kind=side)  # type: ignore[arg-type]  # one of the two kinds
    assert len(found) == 2


@PROVES
def test_account_is_named_by_the_block_before_it() -> None:
    text = (
        "!Option:AutoSwitch\n!Account\nNGiro\nTBank\n^\nNVisa\nTCCard\n^\n!Clear:AutoSwitch\n"
        "!Type:Cat\nNFood\nE\n^\n!Option:AutoSwitch\n"
        f"!Account\nNGiro\nTBank\n^\n!Type:Bank\n{record()}"
        f"!Account\nNVisa\nTCCard\n!Type:CCard\n{record()}"
    )
    assert [item for item in items(text) if isinstance(item, StatementAccount)] == [
        StatementAccount(number="Giro", name="Giro", asset=None, kind="asset"),
        StatementAccount(number="Visa", name="Visa", asset=None, kind="liability"),
    ]


@PROVES
@pytest.mark.parametrize(
    "before",
    [
        # A list of accounts: which of them is it?
        "!Account\nNGiro\n^\nNVisa\n^\n!Type:Bank\n",
        # The name stood for the card.
        f"!Account\nNVisa\n^\n!Type:CCard\n{record()}!Type:Bank\n",
        "!Account\nTBank\n^\n!Type:Bank\n",
    ],
)
def test_account_is_not_guessed(before: str) -> None:
    accounts = [item for item in items(before + record()) if isinstance(item, StatementAccount)]
    assert accounts[-1] == StatementAccount(number=None, asset=None)


@PROVES
def test_repeated_headers_open_one_statement() -> None:
    found = items(qif(record()) * 3)
    assert [type(item) for item in found] == [StatementAccount, *[StatementLine] * 3]


@PROVES
@pytest.mark.parametrize(
    "kind", ["Cat", "Class", "Invst", "Memorized", "Security", "Prices", "Budget"]
)
def test_other_lists_are_skipped(kind: str) -> None:
    text = f"!Type:{kind}\n{record()}" + qif(record("2024-01-16"))
    assert [line.date for line in lines_of(items(text))] == [date(2024, 1, 16)]
    with pytest.raises(StatementEmpty):
        items(f"!Type:{kind}\n{record()}")


@PROVES
def test_unknown_list_is_reported_not_dropped() -> None:
    found = items(f"!Type:Bonk\n{record()}" + qif(record()))
    assert [type(item) for item in found] == [StatementAccount, StatementLine, FaultyLine]
    fault = found[-1]
    assert isinstance(fault, FaultyLine)
    assert (fault.place, fault.amount) == (1, None)
    assert "!type:bonk" in fault.reason
    with pytest.raises(StatementRefused, match="!type:bonk is no header"):
        items(f"!Type:Bonk\n{record()}")


@PROVES
def test_options_between_records_change_nothing() -> None:
    assert len(lines_of(items(qif(record(), "!Option:AllXfr\n", record())))) == 2


# --- lines ---------------------------------------------------------------------------------------


@PROVES
def test_line() -> None:
    rest = ["PShop", "Mbread", "LFood:Bakery/Trip", "N12", "CX", "AStreet", "ATown"]
    assert items(qif(record("2024-01-15", "-12.34", *rest)))[1] == StatementLine(
        place=2,
        date=date(2024, 1, 15),
        amount="-12.34",
        description="bread",
        counterparty="Shop",
        category="Food:Bakery",
        raw={
            "D": "2024-01-15",
            "T": "-12.34",
            "P": "Shop",
            "M": "bread",
            "L": "Food:Bakery/Trip",
            "N": "12",
            "C": "X",
            "A": "Street\nTown",
        },
    )


@PROVES
def test_splits_are_kept_and_the_total_counts() -> None:
    rest = ["L--Split--", "SFood", "Ebread", "$-7.00", "S[Savings]", "$-3.00", "%30"]
    (line,) = lines_of(items(qif(record("2024-01-15", "-10.00", *rest))))
    assert (line.amount, line.category) == ("-10.00", None)
    assert isinstance(line.raw, dict)
    assert line.raw["splits"] == [
        {"S": "Food", "E": "bread", "$": "-7.00"},
        {"S": "[Savings]", "$": "-3.00", "%": "30"},
    ]


@PROVES
@pytest.mark.parametrize(
    ("written", "category"),
    [
        ("Food", "Food"),
        ("Food:Bread", "Food:Bread"),
        ("Food/Trip", "Food"),
        ("/Trip", None),
        ("[Savings]", None),
        ("[Savings]/Trip", None),
        ("|--SPLIT--|", None),
        ("Split", "Split"),
        ("", None),
    ],
)
def test_categories(written: str, category: str | None) -> None:
    (line,) = lines_of(items(qif(record("2024-01-15", "1", f"L{written}"))))
    assert line.category == category
    assert isinstance(line.raw, dict)
    assert line.raw["L"] == written


@PROVES
def test_amount_may_be_in_u_alone() -> None:
    (line,) = lines_of(items(qif("D2024-01-15\nU-1,000.50\n^\n")))
    assert line.amount == "-1000.50"


@PROVES
@pytest.mark.parametrize(
    "text", ["A & B", "!^T5", "'; DROP TABLE x;--", "\u202e ﷽ 🏦", "=1+1", "<b>"]
)
def test_text_comes_through(text: str) -> None:
    (line,) = lines_of(items(qif(record("2024-01-15", "1", f"M{text}", f"P{text}"))))
    assert (line.description, line.counterparty) == (text, text)


@PROVES
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(encoding: str) -> None:
    data = qif(record("2024-01-15", "1", "PCafé €")).encode(encoding)
    assert [line.counterparty for line in lines_of(items(data))] == ["Café €"]


# --- faults --------------------------------------------------------------------------------------


def fault_of(*texts: str, answers: Mapping[str, str] | None = None) -> FaultyLine:
    found = items(qif(*texts), answers)
    (fault,) = (item for item in found if isinstance(item, FaultyLine))
    return fault


@PROVES
@pytest.mark.parametrize(
    "text",
    [
        "13/13/2020", "2020-02-30", "2023-02-29", "0/5/2020", "5/0/2020", "1/2", "1/2/3/4",
        "1/2/202", "1/2/9999", "0001-02-03", "1/2/1066", "2020-13-01", "yesterday", "²/1/2020",
        "١/٢/٢٠٢٠", "1//2/2020", "-1/2/2020", "1e1/2/2020", "1/2/2020 10:00", "1/2/5",
        "1" + " " * 50_000,
    ],
    ids=shortly,
)  # fmt: skip
def test_nonsense_dates_are_faults_with_their_amount(text: str) -> None:
    fault = fault_of(record("2024-01-15"), record(text))
    assert (fault.place, fault.amount) == (5, "-12.34")


@PROVES
@pytest.mark.parametrize(
    "text",
    [
        "NaN", "sNaN", "Infinity", "-Infinity", "1e400", "1E5", "1_000", "0x10", "1.2.3", "--5",
        "$5", "5 EUR", "١٢", "１２", "1,23.4", "9" * 200,
    ],
    ids=shortly,
)  # fmt: skip
def test_unreadable_amounts_are_faults_without_one(text: str) -> None:
    fault = fault_of(record("2024-01-15"), record("2024-01-15", text))
    assert (fault.place, fault.amount) == (5, None)


@PROVES
@pytest.mark.parametrize(
    ("text", "reason", "amount"),
    [
        ("T5\n^\n", "its date is missing", "5"),
        ("D\nT5\n^\n", "its date is missing", "5"),
        ("D2024-01-15\nPx\n^\n", "its amount is missing", None),
        ("D2024-01-15\nT\nU\n^\n", "its amount is missing", None),
        ("D2024-01-15\nT5\n", "no ^ ends it: it may be cut off", None),
        ("D2024-01-15\nT5\n!Type:Cat\n", "no ^ ends it: it may be cut off", None),
    ],
)
def test_faults(text: str, reason: str, amount: str | None) -> None:
    assert fault_of(text) == FaultyLine(place=2, reason=reason, amount=amount)


@PROVES
def test_transactions_run_into_one_are_set_aside_not_lost() -> None:
    merged = record(amount="-5.00").replace("^\n", "") + record(amount="-7.00")
    assert fault_of(merged).amount is None
    split = record("2024-01-15", "-5.00", "SFood", "$-5.00").replace("^\n", "") + record()
    assert fault_of(split).amount is None


@PROVES
def test_good_lines_stand_beside_faulty_ones() -> None:
    found = items(qif(record(), record("x"), record()))
    kinds = [StatementAccount, StatementLine, FaultyLine, StatementLine]
    assert [type(item) for item in found] == kinds


# --- the order of dates --------------------------------------------------------------------------


@PROVES
@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("12/19'18", date(2018, 12, 19)),
        ("12/19/18", date(2018, 12, 19)),
        ("12/19/2018", date(2018, 12, 19)),
        ("12/19'2018", date(2018, 12, 19)),
        ("12/19' 8", date(2008, 12, 19)),
        ("12/19'99", date(2099, 12, 19)),
        ("12/19/99", date(1999, 12, 19)),
        ("12/19/69", date(2069, 12, 19)),
        ("1/ 1'00", date(2000, 1, 1)),
        ("19.12.2018", date(2018, 12, 19)),
        ("19-12-2018", date(2018, 12, 19)),
        ("19 12 2018", date(2018, 12, 19)),
        ("2018-12-19", date(2018, 12, 19)),
        ("2018/2/3", date(2018, 2, 3)),
        ("99-12-31", date(1999, 12, 31)),
        ("05/05/05", date(2005, 5, 5)),
        (" 5/ 5/2005", date(2005, 5, 5)),
    ],
)
def test_dates_that_need_no_question(text: str, day: date) -> None:
    assert dates(text) == [day]


@PROVES
@pytest.mark.parametrize(
    ("days", "read"),
    [
        # A field above 12, wherever it stands.
        (("2/1/2020", "1/13/2020"), [date(2020, 2, 1), date(2020, 1, 13)]),
        (("2/1/2020", "13/1/2020"), [date(2020, 1, 2), date(2020, 1, 13)]),
        # It counts more than the dot.
        (("2.1.2020", "1.13.2020"), [date(2020, 2, 1), date(2020, 1, 13)]),
        # The dot.
        (("2.1.2020", "3.1.20"), [date(2020, 1, 2), date(2020, 1, 3)]),
        # Dates that begin with the year tell nothing of the others.
        (("2020-01-05", "5/5/2020"), [date(2020, 1, 5), date(2020, 5, 5)]),
        # Two digits of a year, when neither of the others fits.
        (("20/12/31", "20/1/2"), [date(2020, 12, 31), date(2020, 1, 2)]),
        # A date that is none tells nothing.
        (("32/1/2020", "1/13/2020", "2/1/2020"), [date(2020, 1, 13), date(2020, 2, 1)]),
    ],
)
def test_order_by_evidence(days: tuple[str, ...], read: list[date]) -> None:
    assert dates(*days) == read


@PROVES
@pytest.mark.parametrize("backwards", [False, True])
def test_order_by_dates_that_run_evenly(backwards: bool) -> None:
    months = [(9, 1), (10, 1), (11, 1), (11, 2), (12, 1), (12, 2), (12, 3)]
    days = [date(2020, month, day) for month, day in months]
    if backwards:
        days.reverse()
    assert dates(*(f"{day.day}/{day.month}/2020" for day in days)) == days
    assert dates(*(f"{day.month}/{day.day}/2020" for day in days)) == days


@PROVES
def test_dates_of_several_accounts_run_evenly_each() -> None:
    section = "".join(record(f"{d}/{m}/2020") for d, m in [(1, 2), (2, 2), (1, 3), (2, 3), (1, 4)])
    found = lines_of(items(qif(section) + qif(section, header="!Type:CCard\n")))
    assert found[0].date == date(2020, 2, 1)


@PROVES
def test_few_dates_that_run_evenly_prove_nothing() -> None:
    asked(qif(record("1/2/2020"), record("2/2/2020"), record("1/3/2020")))


@PROVES
def test_order_is_asked_with_samples_of_what_it_changes() -> None:
    text = qif(
        record("5/5/2020"),
        *(record(f"1/{n}/2020", f"-{n}.50", f"Pshop {n}") for n in (2, 3, 4, 5)),
    )
    question = asked(text)
    assert question.question == "date_order"
    assert question.readings == (
        Reading(
            {"date_order": "dmy"},
            tuple((date(2020, n, 1), f"-{n}.50", f"shop {n}") for n in (2, 3, 4)),
        ),
        Reading(
            {"date_order": "mdy"},
            tuple((date(2020, 1, n), f"-{n}.50", f"shop {n}") for n in (2, 3, 4)),
        ),
    )
    for reading in question.readings:
        assert lines_of(items(text, reading.answers))[1].date == reading.sample[0][0]


@PROVES
@pytest.mark.parametrize(
    ("order", "day"),
    [("dmy", date(2003, 2, 1)), ("mdy", date(2003, 1, 2)), ("ymd", date(2001, 2, 3))],
)
def test_two_digit_years_may_come_first_between_dashes(order: str, day: date) -> None:
    orders = [reading.answers["date_order"] for reading in asked(qif(record("01-02-03"))).readings]
    assert orders == ["dmy", "mdy", "ymd"]
    assert dates("01-02-03", answers={"date_order": order}) == [day]


@PROVES
def test_years_do_not_come_first_where_that_would_mean_many() -> None:
    days = [f"{day:02}-12-20" for day in range(13, 20)]
    assert dates(*days) == [date(2020, 12, day) for day in range(13, 20)]


@PROVES
def test_answer_beats_the_dot_but_not_the_evidence() -> None:
    assert dates("2.1.2020", answers={"date_order": "mdy"}) == [date(2020, 2, 1)]
    # An answer is kept for all files of this layout; this one may be another program's.
    answers = {"date_order": "dmy"}
    assert dates("2/1/2020", "1/13/2020", answers=answers) == [date(2020, 2, 1), date(2020, 1, 13)]


@PROVES
@pytest.mark.parametrize("answer", ["", "ydm", "ymd"])
def test_answer_that_does_not_fit_is_asked_again(answer: str) -> None:
    asked(qif(record("1/2/2020")), {"date_order": answer})


@PROVES
def test_contradictory_dates_are_asked_and_the_misfits_set_aside() -> None:
    text = qif(record("13/1/2020"), record("1/14/2020"), record("1/2/2020"))
    assert asked(text).question == "date_order"
    found = items(text, {"date_order": "mdy"})
    assert [line.date for line in lines_of(found)] == [date(2020, 1, 14), date(2020, 1, 2)]
    assert isinstance(found[1], FaultyLine)
    assert found[1].amount == "-12.34"


# --- the decimal mark ----------------------------------------------------------------------------


@PROVES
@pytest.mark.parametrize(
    ("texts", "read"),
    [
        (("12.34",), ["12.34"]),
        (("12,34",), ["12.34"]),
        (("1,000.00", "1,234"), ["1000.00", "1234"]),
        (("1.000,00", "1.234"), ["1000.00", "1234"]),
        (("1.234", "5.5"), ["1.234", "5.5"]),
        (("1,234", "5,5"), ["1.234", "5.5"]),
        (("-1,000,000",), ["-1000000"]),
        (("12", "-5"), ["12", "-5"]),
        (("0,000",), ["0"]),
        (("(1'234.50)", "7.00-"), ["-1234.50", "-7.00"]),
    ],
)
def test_decimal_by_evidence(texts: tuple[str, ...], read: list[str]) -> None:
    assert amounts(*texts) == read


@PROVES
def test_splits_tell_the_decimal_too() -> None:
    text = qif(record("2024-01-15", "-1,234", "SFood", "$-1,000.50", "SFun", "$-233.50"))
    assert lines_of(items(text))[0].amount == "-1234"


@PROVES
@pytest.mark.parametrize("text", ["1,234", "1.234", "-1.234"])
def test_decimal_is_asked(text: str) -> None:
    question = asked(qif(record("2024-01-15", "7", "Pone"), record("2024-01-15", text, "Ptwo")))
    assert question.question == "decimal"
    assert [reading.answers for reading in question.readings] == [
        {"decimal": "."},
        {"decimal": ","},
    ]
    day = date(2024, 1, 15)
    for reading in question.readings:
        (read,) = amounts(text, answers=reading.answers)
        assert reading.sample == ((day, read, "two"),)
    assert {abs(Decimal(reading.sample[0][1])) for reading in question.readings} == {
        Decimal("1.234"),
        Decimal(1234),
    }


@PROVES
def test_contradictory_decimals_are_asked() -> None:
    text = qif(record(amount="12.50"), record(amount="12,50"), record(amount="1,234"))
    assert asked(text).question == "decimal"
    found = items(text, {"decimal": ","})
    assert [line.amount for line in lines_of(found)] == ["12.50", "1.234"]
    assert isinstance(found[1], FaultyLine)


@PROVES
def test_evidence_beats_the_answer() -> None:
    assert amounts("12,50", "1,234", answers={"decimal": "."}) == ["12.50", "1.234"]


@PROVES
def test_both_questions_are_asked_at_once() -> None:
    text = qif(record("1/2/2020", "1,234"))
    question = asked(text)
    assert question.question == "date_order and decimal"
    assert [dict(reading.answers) for reading in question.readings] == [
        {"date_order": order, "decimal": mark} for order in ("dmy", "mdy") for mark in (".", ",")
    ]
    assert [reading.sample[0][:2] for reading in question.readings] == [
        (date(2020, 2, 1), "1234"),
        (date(2020, 2, 1), "1.234"),
        (date(2020, 1, 2), "1234"),
        (date(2020, 1, 2), "1.234"),
    ]
    half = asked(text, {"date_order": "mdy"})
    assert [dict(reading.answers) for reading in half.readings] == [
        {"decimal": "."},
        {"decimal": ","},
    ]
    for reading in question.readings:
        assert len(lines_of(items(text, reading.answers))) == 1


# --- files that are refused ----------------------------------------------------------------------


@PROVES
@pytest.mark.parametrize(
    "data", [b"", b"\n \r\n", b"\xef\xbb\xbf", b"!Account\nNGiro\n^\n", b"!Option:AutoSwitch\n"]
)
def test_empty_file(data: bytes) -> None:
    with pytest.raises(StatementEmpty):
        items(data)


def test_list_without_transactions_is_a_statement_without_lines() -> None:
    assert items("!Type:Bank\n") == [StatementAccount(number=None, asset=None)]
    assert items("!Type:Bank\n^\n\n^") == [StatementAccount(number=None, asset=None)]


@PROVES
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("hello", "there is no !Type: header"),
        (record(), "there is no !Type: header"),
        ("hello\n" * 2_000, "there is no !Type: header"),
        ("!Hello\n", "is no header that is known"),
        (qif(record().replace("D", "\0")), "NUL"),
        ("PK\x03\x04\0", "NUL"),
        (qif("Dx\n^\n" * 10_001), "more than 10,000 lines cannot be read"),
        (qif(record("13/1/2020") * 10_001, record("1/13/2020")), "say which"),
    ],
    ids=shortly,
)
def test_refused(data: str, reason: str) -> None:
    with pytest.raises(StatementRefused, match=reason):
        items(data)


@PROVES
def test_lines_that_the_answer_cannot_read_have_a_limit_too() -> None:
    with pytest.raises(StatementRefused, match="more than 10,000 lines cannot be read"):
        items(
            qif(record("13/1/2020") * 10_001, record("1/13/2020")),
            {"date_order": "mdy"},
        )


@PROVES
@pytest.mark.parametrize(
    "data",
    [
        qif(record("2024-01-15", "1", "M" + "x" * 100_000)),
        qif(record("2024-01-15", "1", *["SFood"] * 6_000)),
        "M" + "x" * 2_000_000,
        "\n" * 20_000,
        "!Account\n" + "NGiro\n^\n" * 200_001,
    ],
    ids=["record", "fields", "line", "blank", "accounts"],
)
def test_too_large(data: str) -> None:
    with pytest.raises(StatementTooLarge):
        items(data)


SEEDS = [
    qif(record(), record("12/19/18", "1,000.00", "SFood", "$5")).encode(),
    ("!Account\nNGiro\n^\n" + qif(record("1/2/2020"))).encode("utf-16"),
    b"!Option:AutoSwitch\r\n!Type:Cat\r\nNFood\r\n^\r\n!Type:CCard\r\nD1/ 1'00\r\nT1,234\r\n^",
]
PIECES = st.one_of(
    st.binary(max_size=6),
    st.sampled_from(
        [b"!", b"!Type:", b"!Type:Bank\n", b"!Account\n", b"^", b"^\n", b"\n", b"\r", b"'",
         b"D20-01-02\n", b"D1/2/2020\n", b"T1.234\n", b"T1,5\n", b"S", b"$1\n", b"9" * 30,
         b"\xff\xfe"]
    ),
)  # fmt: skip


@PROVES
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), PIECES), max_size=6),
    answers=st.fixed_dictionaries(
        {}, optional={"date_order": st.sampled_from(["dmy", "mdy", "x"]), "decimal": st.text()}
    ),
)
def test_mutated_files_are_read_or_refused(
    seed: bytes, edits: list[tuple[float, int, bytes]], answers: dict[str, str]
) -> None:
    for at, cut, piece in edits:
        start = int(at * len(seed))
        seed = seed[:start] + piece + seed[start + cut :]
    QIF.recognises(seed, "x")
    try:
        found = items(seed, answers)
    except StatementAmbiguous as ambiguous:
        assert len(ambiguous.readings) > 1
        for reading in ambiguous.readings:
            items(seed, {**answers, **reading.answers})
        return
    except StatementRefused as refused:
        assert refused.details
        return
    assert isinstance(found[0], StatementAccount)
    json.dumps([line.raw for line in lines_of(found)])


# --- hostile input -------------------------------------------------------------------------------

CHILD = """
import resource, sys
from finora_core.plugins import StatementRefused
from finora_core.records.formats.qif import QifStatements
file = open(sys.argv[1], "rb")
most = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + (64 << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
resource.setrlimit(resource.RLIMIT_CPU, (int(used) + int(sys.argv[2]),) * 2)
try:
    QifStatements().recognises(file.read(65536), "x")
    file.seek(0)
    print(sum(1 for _ in QifStatements().read(file, {})), "items")
except StatementRefused as refused:
    print(refused.code, refused)
"""

HOSTILE: dict[str, tuple[Callable[[], str | bytes], str]] = {
    "empty": (lambda: "", "STATEMENT_EMPTY"),
    "cut off": (lambda: qif(record() * 10_000)[:-8], "10001 items"),
    "50 MB of bytes": (lambda: b"\x9a\x12\n<" * 12_500_000, "STATEMENT_UNREADABLE"),
    "50 MB of text": (lambda: "lorem ipsum\n" * 4_000_000, "STATEMENT_UNREADABLE"),
    "10 MB of fields": (lambda: qif("lorem ipsum\n" * 800_000), "STATEMENT_TOO_LARGE"),
    "5 MB of a list": (lambda: "!Type:Cat\n" + "x\n" * 2_500_000, "STATEMENT_TOO_LARGE"),
    "10 MB of line ends": (lambda: qif("\n" * 10_000_000), "STATEMENT_TOO_LARGE"),
    "10 MB of headers": (lambda: "!Type:Bank\n" * 900_000, "STATEMENT_TOO_LARGE"),
    "10 MB of faults": (lambda: qif("D1/2/2020\n^\n" * 800_000), "STATEMENT_UNREADABLE"),
    "10 MB of one line": (lambda: qif("M" + "x" * 10_000_000), "STATEMENT_TOO_LARGE"),
    "a header of spaces": (lambda: qif(record(), "!x" + " " * 1_000_000 + "x\n"), "3 items"),
    "5 MB of dates of spaces": (
        lambda: qif(("D1" + " " * 60_000 + "x\nT1\n^\n") * 90),
        "91 items",
    ),
    "5 MB of amounts of commas": (
        lambda: qif(("D2020-01-02\nT" + "1," * 30_000 + "\n^\n") * 90),
        "91 items",
    ),
}


def under_limits(path: Path, seconds: int = 3) -> str:
    """What the child prints of the file, which is gone afterwards."""
    try:
        child = subprocess.run(
            [sys.executable, "-c", CHILD, str(path), str(seconds)],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        path.unlink()
    assert (child.returncode, child.stderr) == (0, "")
    return child.stdout


@PROVES
@pytest.mark.skipif(sys.platform != "linux", reason="resource limits of Linux")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_answered_within_little_time_and_memory(name: str, tmp_path: Path) -> None:
    made, answer = HOSTILE[name]
    content = made()
    path = tmp_path / "hostile"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert answer in under_limits(path)


@PROVES
@pytest.mark.skipif(sys.platform != "linux", reason="resource limits of Linux")
def test_a_large_file_is_read_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.qif"
    path.write_text(qif(record("2024-01-15", "-12.34", "M" + "x" * 300, "P" + "y" * 300) * 20_000))
    assert under_limits(path, seconds=20) == "20001 items\n"
