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
from typing import Any, Literal, TypeVar

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

T = TypeVar("T")


def items(data: bytes | str, **answers: str) -> list[StatementItem]:
    return list(CSV.read(io.BytesIO(data.encode() if isinstance(data, str) else data), answers))


def only(kind: type[T], found: Iterable[object]) -> list[T]:
    return [item for item in found if isinstance(item, kind)]


def lines(data: bytes | str, **answers: str) -> list[StatementLine]:
    return only(StatementLine, items(data, **answers))


def faults(data: bytes | str, **answers: str) -> list[tuple[int, str]]:
    return [(item.place, item.reason) for item in only(FaultyLine, items(data, **answers))]


def moves(data: bytes | str, **answers: str) -> list[tuple[str, str]]:
    """The date and amount of each line."""
    return [(line.date.isoformat(), line.amount) for line in lines(data, **answers)]


def amounts(data: bytes | str, **answers: str) -> list[str]:
    return [line.amount for line in lines(data, **answers)]


def account(data: bytes | str, **answers: str) -> StatementAccount:
    return only(StatementAccount, items(data, **answers))[0]


def balances(data: bytes | str, **answers: str) -> list[tuple[str, str, str]]:
    return [
        (item.kind, item.date.isoformat(), item.amount)
        for item in only(StatementBalance, items(data, **answers))
    ]


def asked(data: bytes | str, **answers: str) -> StatementAmbiguous:
    with pytest.raises(StatementAmbiguous) as caught:
        items(data, **answers)
    return caught.value


def refused(data: bytes | str, **answers: str) -> StatementRefused:
    with pytest.raises(StatementRefused) as caught:
        items(data, **answers)
    assert not isinstance(caught.value, StatementAmbiguous)
    return caught.value


def words(*texts: str | None) -> str:
    return " ".join(" ".join(text.split()) for text in texts if text)


def real(name: str) -> bytes:
    return Path(FOLDER / name).read_bytes()


# --- real files: bank2ynab -----------------------------------------------------------------------

ROW_FORMAT = "date,counterparty,skip,credit,debit"
BANK2YNAB: dict[str, dict[str, str]] = {
    "20171001-20171106.csv": {},
    "2018-04-14_10-52-13_bunq-transactieoverzicht.csv": {},
    # One line with the date 10/02/2018: nothing in the file says which is the month.
    "20180226_12345678.csv": {"date_order": "dmy"},
    "CSV_A_20180414_112204.csv": {},
    "MonzoDataExport_February2018_2018-02-26_174335.csv": {},
    "Movements_1234512345_201805271848.csv": {},
    "TH_20180101-20180523_page_1.csv": {},
    # No header: payee and memo look alike. Dates and amounts need no answer, see below.
    "kta_ei.dat": {"columns": "skip,description,date,counterparty,amount,description"},
    "Umsaetze_KtoNr538917600_EUR_02-03-2018_1503.CSV": {},
    # No header, one line: nothing says that its amount went out.
    "dba33fceecd62c3c727893361e0ba4d3.P000000027355791.csv": {
        "columns": "date,skip,debit,credit,counterparty,description"
    },
    # No header and no balance: nothing says which of two columns is money out.
    "test_row_format_default.csv": {"columns": ROW_FORMAT},
    "test_delimiter_tab.csv": {"columns": ROW_FORMAT},
}
# Upstream's payee is the counterparty's account number, or the account details; both files have a
# column with the counterparty's name, which is what we take.
OTHER_PAYEE = {"Movements_1234512345_201805271848.csv", "TH_20180101-20180523_page_1.csv"}


def expectation(name: str) -> list[dict[str, Any]]:
    expected = json.loads((FOLDER / "bank2ynab" / "expected.json").read_text())[name]
    found: list[dict[str, Any]] = expected["transactions"]
    assert len(found) == expected["rows"]
    return found


def day_of(text: str) -> date:
    return date.fromisoformat("-".join(reversed(text.split("/"))) if "/" in text else text)


@needs_shared
def test_no_bank2ynab_file_is_left_out() -> None:
    found = {path.name for path in (FOLDER / "bank2ynab").iterdir()}
    assert found == {*BANK2YNAB, "expected.json"}


@needs_shared
@DETECTS
@pytest.mark.parametrize("name", BANK2YNAB)
def test_real_files_read_as_bank2ynab_reads_them(name: str) -> None:
    data = real(f"bank2ynab/{name}")
    assert CSV.recognises(data[:65536], name) >= 50
    found = items(data, **BANK2YNAB[name])
    # '?' marks the row that is none: upstream yields it with no date, we set it aside.
    expected = [row for row in expectation(name) if not row["date"].startswith("?")]
    odd = [row for row in expectation(name) if row["date"].startswith("?")]
    ours = only(StatementLine, found)
    assert [(line.date, Decimal(line.amount)) for line in ours] == [
        (day_of(row["date"]), Decimal(row["amount"])) for row in expected
    ]
    for line, row in zip(ours, expected, strict=True):
        text = words(line.counterparty, line.description)
        # One text column is our description; upstream calls it payee.
        assert name in OTHER_PAYEE or words(row["payee"]) in text
        assert words(row["memo"]) in text
    assert [(item.place, item.reason) for item in only(FaultyLine, found)] == [
        (71, "'A null transaction, just to confuse thin' is not a date") for _ in odd
    ]


@needs_shared
def test_what_a_file_does_not_say_is_asked_for() -> None:
    question = asked(real("bank2ynab/20180226_12345678.csv"))
    assert question.question == "date_order"
    assert [dict(reading.answers) for reading in question.readings] == [
        {"date_order": "dmy"},
        {"date_order": "mdy"},
    ]
    assert [reading.sample for reading in question.readings] == [
        ((date(2018, 2, 10), "-5.00", "MERCHANT NAME@12:34"),),
        ((date(2018, 10, 2), "-5.00", "MERCHANT NAME@12:34"),),
    ]
    for name in ("test_row_format_default.csv", "test_delimiter_tab.csv"):
        question = asked(real(f"bank2ynab/{name}"))
        assert question.question == "columns"
        assert [reading.answers["columns"] for reading in question.readings] == [
            "date,description,value_date,debit,credit",
            "date,description,value_date,credit,debit",
        ]
        assert [reading.sample[0][1] for reading in question.readings] == ["33.87", "-33.87"]


@needs_shared
def test_a_file_without_header_needs_no_answer_for_dates_and_amounts() -> None:
    expected = expectation("kta_ei.dat")
    assert moves(real("bank2ynab/kta_ei.dat")) == [(row["date"], row["amount"]) for row in expected]


@needs_shared
def test_what_else_the_bank2ynab_files_say() -> None:
    rabobank = items(real("bank2ynab/CSV_A_20180414_112204.csv"))
    # A quote is missing before the second row's IBAN; it is the same account all the same.
    assert only(StatementAccount, rabobank) == [
        StatementAccount(number="NL77RABO0311467415", asset="EUR")
    ]
    # Lines end in CR CR LF: an empty line after each.
    assert [(line.place, line.bank_id) for line in only(StatementLine, rabobank)] == [
        (3, "000000000000009565"),
        (5, "000000000000009590"),
        (7, "000000000000009591"),
    ]
    commerzbank = account(real("bank2ynab/Umsaetze_KtoNr538917600_EUR_02-03-2018_1503.CSV"))
    assert (commerzbank.number, commerzbank.asset) == ("DE44200400000538917600", "EUR")
    (monzo,) = lines(real("bank2ynab/MonzoDataExport_February2018_2018-02-26_174335.csv"))
    assert (monzo.category, monzo.bank_id) == ("general", "tx_00009TziTeST1NG1ZWIPGS")
    # Names in windows-1250; upstream reads them as windows-1252.
    (raiffeisen,) = lines(real("bank2ynab/Movements_1234512345_201805271848.csv"))
    assert (raiffeisen.counterparty, raiffeisen.bank_id) == ("Name Surname", "3228446118")
    assert isinstance(raiffeisen.raw, list)
    assert "Jednorázová platba" in raiffeisen.raw
    sporitelna = items(real("bank2ynab/TH_20180101-20180523_page_1.csv"))
    assert only(StatementAccount, sporitelna)[0].asset == "CZK"  # of "Amount CZK"
    # Its reference is the same in every line, being anonymised: no id.
    assert {line.bank_id for line in only(StatementLine, sporitelna)} == {None}


# --- real files: ofxstatement-austrian, revolut --------------------------------------------------


def facts_of(name: str) -> list[dict[str, Any]]:
    """Upstream's asserts, as {what: value} for the statement and then for each line."""
    found = []
    for case in json.loads((FOLDER / "austrian" / "expected.json").read_text())[name]:
        facts: dict[str, Any] = {}
        for _, subject, value in case["facts"]:
            if number := re.fullmatch(r"(?:Decimal\('|)(-?[0-9.]+)(?:'\)|)", value):
                facts[subject] = Decimal(number[1])
            elif day := re.match(r"datetime\.datetime\((\d+), (\d+), (\d+)", value):
                facts[subject] = date(*map(int, day.groups()))
            else:
                facts[subject] = value.strip("'")
        found.append(facts)
    return found


@needs_shared
@DETECTS
@pytest.mark.parametrize(
    "file, name",
    [
        ("ing-diba.csv", "ingdiba"),
        ("raiffeisen.csv", "raiffeisen"),
        ("easybank-giro.csv", "easybank-giro"),
    ],
)
def test_real_files_agree_with_ofxstatement_austrian(file: str, name: str) -> None:
    found = items(real(f"austrian/{file}"))
    of_all, *of_lines = facts_of(name)
    ours = only(StatementLine, found)
    (own,) = only(StatementAccount, found)
    assert len(ours) == of_all["len(self.statement.lines)"]
    assert own.asset == of_all["self.statement.currency"]
    assert own.number == of_all.get("self.statement.account_id")
    # Upstream's balances start at 0 and add up the lines; the files have none, so we yield none.
    assert sum(Decimal(line.amount) for line in ours) == of_all["self.statement.end_balance"]
    assert only(StatementBalance, found) == []
    dates = [line.date for line in ours]
    assert (min(dates), max(dates)) == (
        of_all["self.statement.start_date"],
        of_all["self.statement.end_date"],
    )
    for line, facts in zip(ours, of_lines, strict=True):
        assert (line.date, Decimal(line.amount)) == (facts["line.date"], facts["line.amount"])
        # Easybank's memo, check number and payee are one column: upstream cuts it up by rules of
        # that bank, we keep it whole.
        assert words(line.description).startswith(words(facts["line.memo"]))
        payee = facts.get("line.payee", "line.memo").partition(" (")[0]
        assert payee == "line.memo" or words(payee) in words(line.description)


@needs_shared
@DETECTS
def test_a_real_revolut_file() -> None:
    found = items(real("revolut-2021-october.csv"))
    (case,) = json.loads((FOLDER / "revolut-2021-october.expected.json").read_text())
    facts = dict(fact[1].split(" == ", 1) for fact in case["facts"])
    # Upstream names every account 'Revolut'; the file names none.
    assert only(StatementAccount, found) == [StatementAccount(number=None, asset="EUR")]
    ours = only(StatementLine, found)
    assert str(len(ours)) == facts["len(statement.lines)"]
    for number in (0, 1):
        line = ours[number]
        assert f"Decimal('{line.amount}')" == facts[f"line{number}.amount"]
        # Booked when completed: the second was started two days before.
        y, m, d = re.findall(r"\d+", facts[f"line{number}.date"])[:3]
        assert line.date == date(int(y), int(m), int(d))
        assert repr(line.description) == facts[f"line{number}.payee"]
    assert balances(real("revolut-2021-october.csv")) == [
        ("opening", "2021-09-05", "415.52"),
        ("closing", "2021-09-08", "580.83"),
    ]


# --- real files: apps ----------------------------------------------------------------------------

# file -> answers, lines, sum
APPS: dict[str, tuple[dict[str, str], int, str]] = {
    "sure-transactions.csv": ({}, 9, "-516.29"),
    "sure-mint.csv": ({"date_order": "mdy"}, 10, "750.37"),
    "sure-ynab.csv": ({"date_order": "mdy"}, 5, "746.18"),
    "sure-actual.csv": ({}, 5, "746.18"),
    "sure-trades.csv": ({}, 10, "50611.50"),
    "sure-valid.csv": ({}, 1, "-89.50"),
    "hledger-monefy.csv": ({"date_order": "dmy"}, 8, "5892.80"),
    "hledger-csb43.csv": ({}, 2, "1000.00"),
    "hledger-paypal-custom.csv": ({}, 7, "9.41"),
    "hledger-stripe.csv": ({}, 2, "11.23"),
}


@needs_shared
def test_no_app_file_is_left_out() -> None:
    assert {path.name for path in (FOLDER / "apps").iterdir()} == {*APPS, "sure-invalid.csv"}


@needs_shared
@DETECTS
@pytest.mark.parametrize("name", APPS)
def test_exports_of_apps(name: str) -> None:
    answers, count, total = APPS[name]
    data = real(f"apps/{name}")
    if answers:
        assert asked(data).question == "date_order"
    found = lines(data, **answers)
    assert len(found) == count
    assert sum(Decimal(line.amount) for line in found) == Decimal(total)


@needs_shared
def test_what_the_apps_call_things() -> None:
    mint = lines(real("apps/sure-mint.csv"), date_order="mdy")
    # Debit is money out whatever the sign it is written with, and credit money in.
    assert [line.amount for line in mint[:4]] == ["-78.32", "45.67", "-1500.00", "2500.00"]
    assert mint[0].category == "Groceries"
    assert faults(real("apps/sure-valid.csv")) == [(2, "'invalid_date' is not a date")]
    paypal = lines(real("apps/hledger-paypal-custom.csv"))
    # What moves the balance is the net: 10.00 less a fee of 0.59.
    assert (paypal[-1].amount, paypal[-1].counterparty) == ("9.41", "Noble Benefactor")
    assert [line.booked for line in paypal] == [True, False, True, False, True, False, True]
    ynab = items(real("apps/sure-ynab.csv"), date_order="mdy")
    assert [own.number for own in only(StatementAccount, ynab)] == [
        "Checking", "Credit Card", "Checking",
    ]  # fmt: skip
    csb43 = account(real("apps/hledger-csb43.csv"))
    assert (csb43.number, csb43.asset) == ("1234567890", "EUR")


@needs_shared
def test_a_file_that_is_no_statement_is_refused_with_what_it_holds() -> None:
    refusal = refused(real("apps/sure-invalid.csv"))
    assert "no column can be a date" in str(refusal)
    assert refusal.facts["columns"] == ["name", "description", "amount", "currency"]
    assert CSV.recognises(real("apps/sure-invalid.csv"), "x.csv") < 50


# --- real layouts: the 75 banks of firefly -------------------------------------------------------

PHP = {"d": "%d", "j": "%-d", "m": "%m", "n": "%-m", "Y": "%Y", "y": "%y", "M": "%b", "g": "%-I",
       "i": "%M", "s": "%S", "a": "%p"}  # fmt: skip
COLUMN_NAMES = {
    "date_transaction": "Transaction date", "date_book": "Booking date", "date_payment": "Date",
    "date_process": "Posting date", "date_invoice": "Invoice date", "date_interest": "Value date",
    "amount": "Amount", "amount_negated": "Amount", "amount_debit": "Debit", "note": "Notes",
    "amount_credit": "Credit", "description": "Description", "opposing-name": "Counterparty name",
    "opposing-iban": "Counterparty IBAN", "opposing-number": "Counterparty account",
    "account-iban": "IBAN", "account-number": "Account number", "account-name": "Account name",
    "currency-code": "Currency", "currency-name": "Currency", "category-name": "Category",
    "external-id": "Transaction ID", "internal_reference": "Reference",
    "generic-debit-credit": "Debit/Credit", "ing-debit-credit": "Af Bij",
    "amount_foreign": "Foreign amount", "foreign-currency-code": "Foreign currency",
}  # fmt: skip
FIXED = {
    "account-iban": "NL20INGB0001234567", "account-number": "12345678", "account-name": "Main",
    "currency-code": "EUR", "currency-name": "EUR",
}  # fmt: skip
TWELVE = [
    (date(2023, 1, 9) + timedelta(days=9 * at), (1 if at % 3 == 1 else -1) * (1234 + 777 * at * at))
    for at in range(12)
]


def two_decimals(cents: int, mark: str) -> str:
    return f"{'-' * (cents < 0)}{abs(cents) // 100}{mark}{abs(cents) % 100:02d}"


def bank_cell(role: str, at: int, config: dict[str, Any], mark: str) -> str:
    """What a bank of this layout would write in the column for the line `at`."""
    day, cents = TWELVE[at]
    unsigned = any("debit-credit" in one for one in config["roles"])
    if role.startswith("date"):
        return day.strftime("".join(PHP.get(c, c) for c in config["date"].removeprefix("fr:")))
    if role in ("amount", "amount_negated"):
        signed = abs(cents) if unsigned else -cents if role == "amount_negated" else cents
        return two_decimals(signed, mark)
    if role in ("amount_debit", "amount_credit"):
        return two_decimals(abs(cents), mark) if (cents < 0) == (role == "amount_debit") else ""
    if "debit-credit" in role:
        return ("Af", "Bij")[cents > 0] if role.startswith("ing") else "DC"[cents > 0]
    varying = {
        "opposing-iban": f"DE{10 + at}500105170000{at:06d}",
        "opposing-name": f"Shop {at}", "description": f"Text {at}", "note": f"Note {at}",
        "category-name": ("Food", "Rent")[at % 2],
        "external-id": f"X{at}Z9", "internal_reference": f"X{at}Z9",
    }  # fmt: skip
    return varying.get(role, FIXED.get(role, ""))


def has_money_in(config: dict[str, Any]) -> bool:
    """Not where a column holds money out and none money in."""
    return "amount_debit" not in config["roles"] or "amount_credit" in config["roles"]


def bank_file(config: dict[str, Any]) -> str:
    mark = "," if config["delimiter"] == "semicolon" else "."
    text = io.StringIO()
    delimiter = {"comma": ",", "semicolon": ";", "tab": "\t"}[config["delimiter"]]
    writer = csv.writer(text, delimiter=delimiter)
    roles: list[str] = config["roles"]
    if config["headers"]:
        writer.writerow([COLUMN_NAMES.get(role, f"Field {at}") for at, role in enumerate(roles)])
    for at, (_, cents) in enumerate(TWELVE):
        if cents < 0 or has_money_in(config):
            writer.writerow([bank_cell(role, at, config, mark) for role in roles])
    return text.getvalue()


@needs_shared
@DETECTS
def test_the_layouts_of_75_banks_are_read_or_asked_about() -> None:
    """Rows written in the layout of each bank. Those that no header and no balance tell apart are
    asked about, and one of the readings offered is the right one."""
    configs = json.loads((FOLDER / "firefly-import-configurations.json").read_text())
    questions = {}
    for bank, config in configs.items():
        text = bank_file(config)
        answers: dict[str, str] = {"invert": "yes"} if "amount_negated" in config["roles"] else {}
        expected = [
            (day.isoformat(), two_decimals(cents, "."))
            for day, cents in TWELVE
            if cents < 0 or has_money_in(config)
        ]
        try:
            found = moves(text, **answers)
        except StatementAmbiguous as question:
            questions[bank] = question.question
            offered = [moves(text, **answers, **reading.answers) for reading in question.readings]
            assert offered.count(expected) == 1, bank
            continue
        assert found == expected, bank
    # Without header: two columns, one for money out and one for money in.
    assert questions == dict.fromkeys(
        [
            "ca/cibc/default.json",
            "ca/desjardins/account.json",
            "ca/td/default.json",
            "gb/barclaycard/default.json",
        ],
        "columns",
    )


# --- columns by name -----------------------------------------------------------------------------


@BY_NAME
@pytest.mark.parametrize(
    "header, rows",
    [
        ("date,amount,category,merchant", "2024-01-31,-12.50,Food,Shop\n2024-02-01,9,Gift,Aunt\n"),
        ("merchant,category,amount,date", "Shop,Food,-12.50,2024-01-31\nAunt,Gift,9,2024-02-01\n"),
        (
            "merchant,category,amount,txnDate,accountId",
            "Shop,Food,-12.50,2024-01-31,7\nAunt,Gift,9,2024-02-01,7\n",
        ),
    ],
)
def test_columns_are_found_by_name_in_any_order(header: str, rows: str) -> None:
    found = lines(f"{header}\n{rows}")
    assert [(one.date, one.amount, one.category, one.counterparty) for one in found] == [
        (date(2024, 1, 31), "-12.50", "Food", "Shop"),
        (date(2024, 2, 1), "9", "Gift", "Aunt"),
    ]


@BY_NAME
def test_bad_rows_are_reported_with_their_line_and_good_rows_kept() -> None:
    text = (
        "date,amount,category,merchant\n"
        "2024-01-31,-12.50,Food,Shop\n"
        "yesterday,1,Food,Shop\n"
        "2024-02-30,5,Food,Shop\n"
        "\n"
        "2024-02-01,12 or so,Food,Shop\n"
        "2024-02-01,7\n"
        "2024-02-02,8,Food,Shop, the old one\n"
        ",9,Food,Shop\n"
        "2024-02-03,,Food,Shop\n"
        "2024-02-04,10,Food,Shop\n"
    )
    assert only(FaultyLine, items(text)) == [
        FaultyLine(place=3, reason="'yesterday' is not a date", amount="1"),
        FaultyLine(place=4, reason="'2024-02-30' is not a date", amount="5"),
        FaultyLine(place=6, reason="'12 or so' is not a number"),
        FaultyLine(place=7, reason="has 2 columns where the file has 4"),
        FaultyLine(place=8, reason="has 5 columns where the file has 4"),
        FaultyLine(place=9, reason="no date", amount="9"),
        FaultyLine(place=10, reason="no amount"),
    ]
    assert moves(text) == [("2024-01-31", "-12.50"), ("2024-02-04", "10")]
    assert [line.place for line in lines(text)] == [2, 11]


def test_an_unknown_header_is_refused_with_its_columns_and_what_to_answer() -> None:
    refusal = refused("who,what,why\n1,2,3\n4,5,6\n")
    assert refusal.code == "STATEMENT_UNREADABLE"
    assert refusal.facts["columns"] == ["who", "what", "why"]
    assert "columns=date,description,amount" in str(refusal)
    assert "2 'what' (numbers)" in str(refusal)
    # A date and text, but nothing that moved.
    assert "no column can be an amount" in str(refused("date,what\n2024-01-01,x\n"))


def test_an_unknown_header_over_plain_columns_is_none_to_refuse() -> None:
    text = "alpha,beta,gamma\n2024-01-31,Shop,-1.50\n2024-02-01,Work,7.00\n"
    assert moves(text) == [("2024-01-31", "-1.50"), ("2024-02-01", "7.00")]
    assert [line.description for line in lines(text)] == ["Shop", "Work"]


@DETECTS
@pytest.mark.parametrize(
    "header",
    [
        "Booking date;Amount;Description;Payee",
        "Buchungstag;Betrag;Verwendungszweck;Beguenstigter/Zahlungspflichtiger",
        "Boekdatum;Bedrag (EUR);Omschrijving;Naam tegenpartij",
        "Date opération;Montant;Libellé;Bénéficiaire",
        "Fecha operación;Importe;Concepto;Beneficiario",
        "Data contabile;Importo;Causale;Controparte",
        "Datum zaúčtování;Částka;Zpráva pro příjemce;Název protiúčtu",
        "Data księgowania;Kwota operacji;Tytuł operacji;Nadawca/Odbiorca",
        "Data do movimento;Montante;Descrição;Beneficiário",
        "Bokföringsdag;Belopp;Beskrivning;Mottagare",
        "Bogføringsdato;Beløb;Tekst;Modtager",
        "bookingDate;transaction_amount;REMITTANCE INFORMATION;CounterpartyName",
    ],
)
def test_headers_in_many_languages(header: str) -> None:
    if "Bel" in header:
        header = header.replace("Beløb", "Belopp")
    (line,) = lines(f"{header}\n31.01.2024;-1,50;Rent;Landlord\n")
    assert (line.date, line.amount) == (date(2024, 1, 31), "-1.50")
    assert (line.description, line.counterparty) == ("Rent", "Landlord")


def test_the_table_of_names_is_in_the_form_that_is_compared() -> None:
    for role, names in NAMES.items():
        for name in names:
            assert plain(name) == name
            assert role in roles_of(name)


def test_the_booking_date_is_preferred_and_the_value_date_stands_in_for_it() -> None:
    text = "Value date,Posting date,Amount\n2024-01-03,2024-01-01,1\n2024-01-09,,2\n"
    assert moves(text) == [("2024-01-01", "1"), ("2024-01-09", "2")]


def test_texts_of_several_columns_are_one_description() -> None:
    text = "Datum,Bedrag,Omschrijving-1,Omschrijving-2,Omschrijving-3\n2024-01-01,1, a ,,b\n"
    assert [line.description for line in lines(text)] == ["a b"]


def test_a_bank_id_is_unique_and_no_count() -> None:
    def ids(name: str, *values: str) -> list[str | None]:
        rows = "".join(f"{value},2024-01-01,1\n" for value in values)
        return [line.bank_id for line in lines(f"{name},date,amount\n{rows}")]

    assert ids("Transaction ID", "a1", "b2") == ["a1", "b2"]
    assert ids("Reference", "x", "y") == ["x", "y"]
    assert ids("Transaction ID", "a1", "a1") == [None, None]
    assert ids("Transaction ID", "a1", "") == [None, None]
    assert ids("id", "1", "2", "3") == [None] * 3  # the next download counts from 1 again
    assert ids("id", "3", "2", "1") == [None] * 3
    assert ids("Tag", "a1", "b2") == [None, None]


def test_every_cell_is_kept_as_received() -> None:
    (line,) = lines('Date,Amount,Note,Extra\n2024-01-01,"1,200.50", a ,=cmd()\n')
    assert line.raw == ["2024-01-01", "1,200.50", " a ", "=cmd()"]
    assert line.description == " a "


# --- accounts and currencies ---------------------------------------------------------------------


def test_account_and_currency_before_the_header() -> None:
    text = (
        '"Kontonummer:";"DE89370400440532013000 / Girokonto"\n'
        '"Kontostand vom 31.01.2024:";"1.200,00 EUR"\n'
        '"Währung";"EUR"\n'
        "\n"
        '"Buchungstag";"Verwendungszweck";"Betrag"\n'
        '"31.01.2024";"Miete";"-800,00"\n'
    )
    assert account(text) == StatementAccount(number="DE89370400440532013000", asset="EUR")
    assert [line.place for line in lines(text)] == [6]
    assert account(text, account="mine", currency="chf") == StatementAccount(
        number="mine", asset="CHF", name="mine"
    )


def test_a_word_before_the_header_is_no_account_number() -> None:
    assert account("Account;see below\nDate;Amount;Note\n2024-01-31;1,50;x\n").number is None


def test_accounts_that_take_turns_open_a_statement_each_time() -> None:
    text = (
        "IBAN,Currency,Date,Amount,Balance\n"
        "A1,EUR,2024-01-01,1.00,11.00\nA1,EUR,2024-01-02,2.00,13.00\n"
        "B2,USD,2024-01-02,3.00,3.00\nA1,EUR,2024-01-03,4.00,17.00\n"
    )
    found = items(text)
    shown = [item.number if isinstance(item, StatementAccount) else "line" for item in found]
    assert shown == ["A1", "line", "line", "B2", "line", "A1", "line"]
    assert [item.asset for item in only(StatementAccount, found)] == ["EUR", "USD", "EUR"]
    assert [line.asset for line in only(StatementLine, found)] == [None] * 4
    # No balance: at the end of A1's first part, more of the same day may be to come.
    assert only(StatementBalance, found) == []
    one = items(text, account="mine", currency="EUR")
    assert [item.number for item in only(StatementAccount, one)] == ["mine"]
    assert [line.asset for line in only(StatementLine, one)] == [None, None, "USD", None]


def test_accounts_one_after_the_other_have_their_balances() -> None:
    text = (
        "Account,Date,Amount,Balance\n"
        "A1,2024-01-01,1.00,11.00\nA1,2024-01-02,2.00,13.00\n"
        "B2,2024-01-01,3.00,3.00\nB2,2024-01-03,4.00,7.00\n"
    )
    found = [
        item.kind if isinstance(item, StatementBalance) else type(item).__name__
        for item in items(text)
    ]
    assert found == [
        "StatementAccount", "StatementLine", "StatementLine", "opening", "closing",
    ] * 2  # fmt: skip


def test_the_payees_account_is_not_the_own_one() -> None:
    one = "Date,Payee,Account number,Amount\n2024-01-01,Shop,DE1,-1.00\n2024-01-02,Shop,DE1,-2.00\n"
    assert account(one).number is None
    two = "Date,Payee,Account,Counterparty account,Amount\n2024-01-01,Shop,DE1,X2,-1.00\n"
    assert account(two).number == "DE1"
    many = "Date,Account,Amount\n" + "".join(f"2024-01-{n},DE{n},-1.00\n" for n in range(10, 30))
    assert account(many).number is None


def test_whose_account_a_column_has_is_asked_where_few_lines_do_not_tell() -> None:
    text = "Date,Account,Amount\n2024-01-01,A1,-1.00\n2024-01-02,B2,-2.00\n"
    question = asked(text)
    assert [reading.answers["columns"] for reading in question.readings] == [
        "date,account,amount",
        "date,skip,amount",
    ]
    assert account(text, **question.readings[0].answers).number == "A1"
    assert account(text, account="mine").number == "mine"
    # Where the name says it is the own one, or another column is the other's, there is no doubt.
    assert account(text.replace("Account", "Account name")).number == "A1"
    assert account("Gegenkonto," + text.replace("\n2024", "\nX9,2024")).number == "A1"


def test_an_account_comes_before_everything_else() -> None:
    text = "IBAN,Date,Amount\ntoo few\nA1,2024-01-01,1.00\nA1,2024-01-02,1.00\n"
    shown = [type(item).__name__ for item in items(text)]
    assert shown == ["StatementAccount", "FaultyLine", "StatementLine", "StatementLine"]
    assert account(text).number == "A1"


def test_a_constant_iban_without_header_is_the_own_account() -> None:
    text = (
        "2024-01-31,NL20INGB0001234567,DE89370400440532013000,-1.50,Rent\n"
        "2024-02-01,NL20INGB0001234567,FR1420041010050500013M02606,7.00,Pay\n"
    )
    assert account(text).number == "NL20INGB0001234567"


def test_the_currency_of_each_line() -> None:
    text = (
        "Date,Amount,Currency\n2024-01-01,1,eur\n2024-01-02,2,USD\n2024-01-03,3,\n2024-01-04,4,??\n"
    )
    assert account(text).asset is None  # "??" is no currency, so this is no column of them
    text = text.replace("2024-01-04,4,??\n", "2024-01-04,4,BTC\n")
    assert account(text).asset == "EUR"
    assert [line.asset for line in lines(text)] == [None, "USD", None, "BTC"]


@pytest.mark.parametrize(
    "column, cell, asset",
    [
        ("Betrag (EUR)", "5", "EUR"),
        ("Amount CZK", "5", "CZK"),
        ("Amount", "€5.00", "EUR"),
        ("Amount", "5.00 SEK", "SEK"),
        ("Amount", "-5.00 zł", "PLN"),
        ("Amount", "$5.00", None),
        ("Amount", "kr 5.00", None),
        ("Amount", "-€5.00", "EUR"),
        ("Amount", "(€5.00)", "EUR"),
    ],
)
def test_the_currency_in_a_name_or_beside_the_amounts(
    column: str, cell: str, asset: str | None
) -> None:
    text = f"Date,{column}\n2024-01-31,{cell}\n"
    assert account(text).asset == asset
    assert abs(Decimal(lines(text)[0].amount)) == 5


def test_an_amount_in_another_currency_is_not_added_up() -> None:
    text = "Date,Amount\n2024-01-01,€5.00\n2024-01-02,$6.00\n2024-01-03,7.00\n"
    assert amounts(text) == ["5.00", "7.00"]
    assert faults(text) == [(3, "'$6.00' is in another currency than the lines before")]


# --- amounts -------------------------------------------------------------------------------------


def test_money_out_and_in_in_two_columns() -> None:
    text = (
        "Date,Paid out,Paid in\n"
        "2024-01-01,5.00,\n2024-01-02,,6.00\n2024-01-03,0.00,7.00\n2024-01-04,8.00,9.00\n"
        "2024-01-05,0.00,0.00\n2024-01-06,,\n2024-01-07,-1.00,\n"
    )
    # 0.00: a line that moves nothing is still a line. -1.00 out is a reversal.
    assert amounts(text) == ["-5.00", "6.00", "7.00", "0.00", "1.00"]
    assert faults(text) == [(5, "both money out and money in"), (7, "no amount")]
    assert amounts("Date,Soll,Haben\n2024-01-01,-5.00,\n2024-01-02,,6.00\n") == ["-5.00", "6.00"]


@DETECTS
@pytest.mark.parametrize(
    "name, out, into",
    [
        ("Af Bij", "Af", "Bij"),
        ("D/C", "D", "C"),
        ("Soll/Haben", "S", "H"),
        ("Debit/Credit", "DBIT", "CRDT"),
        ("Transaction Type", "debit", "credit"),
        ("Richting", "uitgaand", "inkomend"),
        ("Direction", "OUT", "IN"),
        ("+/-", "-", "+"),
        ("Movimiento tipo", "Cargo", "Abono"),
    ],
)
def test_a_column_says_which_way_the_money_went(name: str, out: str, into: str) -> None:
    text = f"Date,{name},Amount\n2024-01-01,{out},5.00\n2024-01-02,{into},6.00\n"
    assert amounts(text) == ["-5.00", "6.00"]


def test_signs_that_stand_beside_a_direction() -> None:
    def read(*rows: str) -> list[str]:
        return amounts("Date,Type,Amount\n" + "".join(f"2024-01-01,{row}\n" for row in rows))

    # The amounts are signed themselves: the word adds nothing.
    assert read("debit,-5.00", "credit,6.00", "debit,-7.00") == ["-5.00", "6.00", "-7.00"]
    # Signed the wrong way round, as Mint does.
    assert read("debit,5.00", "credit,-6.00", "credit,-7.00") == ["-5.00", "6.00", "7.00"]
    # A minus among unsigned amounts is a reversal.
    assert read("debit,5.00", "debit,6.00", "debit,-7.00") == ["-5.00", "-6.00", "7.00"]
    # The first month has only money in; D comes later.
    assert read("C,5.00", "C,6.00") == ["5.00", "6.00"]


def test_an_unknown_direction_is_set_aside() -> None:
    rows = "2024-01-01,D,5.00\n" * 700 + "2024-01-02,X,6.00\n" + "2024-01-01,C,7.00\n" * 6000
    text = "Date,D/C,Amount\n" + rows
    assert faults(text) == [(702, "'X' is neither 'd' nor 'c'")]


def test_amounts_of_the_opposite_sign() -> None:
    text = (
        "Date,Amount,Balance\n2024-01-01,5.00,1.00\n2024-01-02,-6.00,7.00\n2024-01-03,0.00,7.00\n"
    )
    assert amounts(text, invert="yes") == ["-5.00", "6.00", "0.00"]
    assert refused(text, invert="maybe").details[0][0] == "invert"


def test_the_amount_is_net_of_a_fee_where_the_file_has_it() -> None:
    text = "Date,Gross,Fee,Net\n2024-01-01,10.00,-0.50,9.50\n"
    assert amounts(text) == ["9.50"]


REVOLUT = (
    "Started Date,Completed Date,Description,Amount,Fee,Currency,State,Balance\n"
    "2024-01-01 10:00:00,2024-01-01 10:00:01,Pay,1000.00,0.00,EUR,COMPLETED,1000.00\n"
    "2024-01-02 10:00:00,2024-01-02 10:00:01,Exchange,-100.00,1.50,EUR,COMPLETED,898.50\n"
    "2024-01-02 11:00:00,2024-01-03 10:00:01,Shop,-8.50,0.00,EUR,COMPLETED,890.00\n"
    "2024-01-04 10:00:00,,Kiosk,-5.00,0.00,EUR,PENDING,\n"
    "2024-01-04 11:00:00,,Bar,-6.00,0.00,EUR,REVERTED,\n"
)


def test_a_fee_that_the_balance_shows_is_a_line_of_its_own() -> None:
    found = lines(REVOLUT)
    assert [(line.place, line.amount, line.description) for line in found[:4]] == [
        (2, "1000.00", "Pay"),
        (3, "-100.00", "Exchange"),
        (3, "-1.50", "Fee: Exchange"),
        (4, "-8.50", "Shop"),
    ]
    assert balances(REVOLUT) == [
        ("opening", "2024-01-01", "0.00"),
        ("closing", "2024-01-03", "890.00"),
    ]


def test_a_fee_that_the_balance_has_within_the_amount_is_none() -> None:
    text = "Date,Amount,Fee,Balance\n2024-01-01,9.00,0.00,9.00\n2024-01-02,-3.00,1.00,6.00\n"
    assert amounts(text) == ["9.00", "-3.00"]
    assert len(balances(text)) == 2


def test_a_fee_without_a_balance_is_asked_about() -> None:
    text = "Date,Amount,Fee,Note\n2024-01-01,-9.00,0.00,a\n2024-01-02,-3.00,1.00,b\n"
    question = asked(text)
    assert [reading.answers["columns"] for reading in question.readings] == [
        "date,amount,skip,description",
        "date,amount,fee,description",
    ]
    assert amounts(text, **question.readings[0].answers) == ["-9.00", "-3.00"]
    assert amounts(text, **question.readings[1].answers) == ["-9.00", "-3.00", "-1.00"]
    assert amounts(text.replace("1.00,b", "0.00,b")) == ["-9.00", "-3.00"]
    # Past the sample too.
    late = "Date,Amount,Fee,Note\n" + "2024-01-01,-9.00,0.00,a\n" * 5000 + "2024-01-02,-3,1.00,b\n"
    assert asked(late).question == "columns"


def test_pending_lines_are_not_booked_and_declined_ones_are_set_aside() -> None:
    found = items(REVOLUT)
    pending = only(StatementLine, found)[-1]
    assert (pending.booked, pending.date, pending.amount) == (False, date(2024, 1, 4), "-5.00")
    # No amount: it never counts, so no control sum may take it in.
    assert only(FaultyLine, found) == [FaultyLine(place=6, reason="declined: REVERTED")]


@pytest.mark.parametrize(
    "word, booked",
    [("Gebucht", True), ("Vorgemerkt", False), ("Completed", True), ("en attente", False)],
)
def test_states_in_the_banks_language(word: str, booked: bool) -> None:
    (line,) = lines(f"Datum;Betrag;Status\n31.01.2024;1,50;{word}\n")
    assert line.booked is booked


# --- notation ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, day",
    [
        ("2018-02-28", date(2018, 2, 28)),
        ("2018/2/28", date(2018, 2, 28)),
        ("2018-02-28 12:34:56 +0000", date(2018, 2, 28)),
        ("2018-02-28T23:59:60.123Z", date(2018, 2, 28)),
        ("2018-02-28T23:00:00-05:00", date(2018, 2, 28)),  # the bank's day, not UTC's
        ("28.06.2013 00:00:30:989", date(2013, 6, 28)),
        ("28. 6. 2013", date(2013, 6, 28)),
        ("28.06.13", date(2013, 6, 28)),
        ("28/06/99", date(1999, 6, 28)),
        ("20180228", date(2018, 2, 28)),
        ("20180228123456", date(2018, 2, 28)),
        ("28 Feb 2018", date(2018, 2, 28)),
        ("28-FEB-18", date(2018, 2, 28)),
        ("28. März 2018", date(2018, 3, 28)),
        ("Feb 28, 2018", date(2018, 2, 28)),
        ("May 5, 2020, 10:10:57 PM", date(2020, 5, 5)),
        ("1111/11/11", date(1111, 11, 11)),
    ],
)
def test_dates(text: str, day: date) -> None:
    assert set(dates_of(text).values()) >= {day}
    row = f'"{text}";1,50;x\n'
    assert moves(f"Date;Amount;Note\n{row}{row}", date_order="dmy")[0][0] == day.isoformat()


@pytest.mark.parametrize(
    "text",
    [
        "", "0000-00-00", "2018-02-30", "2018-13-01", "31.04.2018", "2018-02-28 24:00",
        "2018-02-28 12:60", "12345678", "28 Foo 2018", "2018-02", "infinity", "1519776000",
        "٢٠١٨-٠٢-٢٨", "2018-02-28" + " " * 60 + "x", "99/99/9999",
    ],
)  # fmt: skip
def test_what_is_no_date(text: str) -> None:
    assert dates_of(text) == {}


def dated(*days: str) -> str:
    return "Date,Amount,Note\n" + "".join(f"{day},1.50,n{at}\n" for at, day in enumerate(days))


def test_a_day_over_12_decides_the_order() -> None:
    assert moves(dated("03/04/2024", "13/04/2024"))[0][0] == "2024-04-03"
    assert moves(dated("03/04/2024", "04/13/2024"))[0][0] == "2024-03-04"


def test_a_sorted_file_decides_the_order() -> None:
    months_first = ["03/02/2024", "03/04/2024", "04/03/2024", "05/01/2024"]
    assert moves(dated(*months_first))[0][0] == "2024-03-02"
    assert moves(dated(*reversed(months_first)))[-1][0] == "2024-03-02"
    days_first = ["03/02/2024", "02/03/2024", "04/03/2024", "01/05/2024"]
    assert moves(dated(*days_first))[0][0] == "2024-02-03"
    # Sorted either way, or neither: nobody knows.
    assert asked(dated("01/02/2024", "01/02/2024", "02/03/2024")).question == "date_order"
    assert asked(dated("05/06/2024", "06/05/2024", "05/06/2024")).question == "date_order"


def test_another_date_column_decides_the_order() -> None:
    text = "Date,Value date,Amount\n03/04/2024,16/04/2024,1.50\n"
    assert moves(text) == [("2024-04-03", "1.50")]


def test_no_question_where_both_orders_say_the_same() -> None:
    assert moves(dated("01/01/2024", "02/02/2024"))[1][0] == "2024-02-02"


def test_dots_are_day_first() -> None:
    assert moves(dated("03.04.2024"))[0][0] == "2024-04-03"
    assert moves(dated("03.04.2024"), date_order="mdy")[0][0] == "2024-03-04"
    assert moves(dated("03.14.2024", "03.04.2024"))[1][0] == "2024-03-04"


def test_days_that_contradict_each_other_are_asked_about() -> None:
    text = dated("13/01/2024", "01/14/2024", "03/04/2024")
    assert asked(text).question == "date_order"
    assert faults(text, date_order="dmy") == [
        (3, "'01/14/2024' is not a date in this file's order")
    ]
    # One odd day in many is an error of its own.
    assert len(lines(dated(*["13/01/2024"] * 20, "01/14/2024"))) == 20


def test_an_odd_date_among_plain_ones_is_not_guessed() -> None:
    text = dated(*["2024-01-05"] * 20, "03/04/2024")
    assert faults(text) == [(22, "'03/04/2024' is not a date in this file's order")]


def test_the_whole_file_is_asked_where_the_sample_does_not_decide() -> None:
    later = "05/06/2024,1.50,a somewhat longer note to fill the sample\n" * 3000
    text = "Date,Amount,Note\n" + later
    assert asked(text).question == "date_order"
    assert moves(text + "13/06/2024,2.50,z\n")[0][0] == "2024-06-05"
    assert moves(text + "06/13/2024,2.50,z\n")[0][0] == "2024-05-06"


def test_two_digit_years_first_only_where_nothing_else_fits() -> None:
    assert moves(dated("99-12-31", "00-01-02"))[0][0] == "1999-12-31"
    assert moves(dated("24-01-15"))[0][0] == "2015-01-24"
    assert moves(dated("24-01-15"), date_order="ymd")[0][0] == "2024-01-15"


def priced(*cells: str) -> str:
    return "Date;Amount;Note\n" + "".join(f"2024-01-31;{cell};x\n" for cell in cells)


@pytest.mark.parametrize(
    "cells, expected",
    [
        (("1.000,00", "-5,5"), ["1000.00", "-5.5"]),
        (("1,000.00", "-5.5"), ["1000.00", "-5.5"]),
        (("1'000.50", "2"), ["1000.50", "2"]),
        (("1 000,50", "1\u00a0000"), ["1000.50", "1000"]),
        (("+5257,28", "7,00-"), ["5257.28", "-7.00"]),
        (("(5.00)", "−6.00"), ["-5.00", "-6.00"]),
        (("$1,500.00", "-$30.93"), ["1500.00", "-30.93"]),
        (("1.234.567", "1"), ["1234567", "1"]),
        (("1,234", "1.50"), ["1234", "1.50"]),
        (("1.234", "1,50"), ["1234", "1.50"]),
        (("100", "-7"), ["100", "-7"]),
        ((" 7.80", "0"), ["7.80", "0"]),
    ],
)
def test_amounts_and_their_decimal_mark(cells: tuple[str, ...], expected: list[str]) -> None:
    assert amounts(priced(*cells)) == expected


def test_a_mark_that_may_be_either_is_asked_about() -> None:
    question = asked(priced("1,234", "100"))
    assert question.question == "decimal"
    assert [reading.sample[0][1] for reading in question.readings] == ["1234", "1.234"]
    assert amounts(priced("1,234", "100"), decimal=",") == ["1.234", "100"]
    assert amounts(priced("1,234", "100"), decimal=".") == ["1234", "100"]
    # Past the sample too; and what comes later may decide.
    late = priced(*["5"] * 5000, "1,234")
    assert asked(late).question == "decimal"
    assert amounts(late + "2024-02-01;6.50;x\n")[-2:] == ["1234", "6.50"]


def test_one_column_has_one_decimal_mark() -> None:
    assert asked(priced("1,50", "2.50")).question == "decimal"
    assert faults(priced("1,50", "2.50"), decimal=",") == [
        (3, "'2.50' is not a number with ',' as decimal mark")
    ]
    assert len(lines(priced(*["1,50"] * 20, "2.50"))) == 20


def test_columns_may_differ_in_their_decimal_mark() -> None:
    text = "Date;Amount;Balance\n2024-01-01;1,50;1.50\n2024-01-02;2,50;4.00\n"
    assert amounts(text) == ["1.50", "2.50"]
    assert balances(text)[1] == ("closing", "2024-01-02", "4.00")
    # The one that leaves it open follows the one that does not.
    assert amounts("Date;Amount;Balance\n2024-01-01;1.234;5,50\n") == ["1234"]


@pytest.mark.parametrize(
    "cell",
    ["1e5", "NaN", "inf", "0x10", "1_000", "٣", "1.2.3,4", "--5", "5-5", "9" * 101, "=", "1€50"],
)
def test_what_is_no_amount(cell: str) -> None:
    assert [place for place, _ in faults(priced("1.50", cell))] == [3]


# --- balances ------------------------------------------------------------------------------------


def balanced(*rows: str) -> str:
    return "Date,Amount,Balance\n" + "".join(f"{row}\n" for row in rows)


def test_a_running_balance_gives_opening_and_closing_whichever_way_the_file_runs() -> None:
    rows = ["2024-01-01,-5.00,95.00", "2024-01-02,10.00,105.00", "2024-01-02,-1.00,104.00"]
    expected = [("opening", "2024-01-01", "100.00"), ("closing", "2024-01-02", "104.00")]
    assert balances(balanced(*rows)) == expected
    assert balances(balanced(*reversed(rows))) == expected
    assert isinstance(items(balanced(*rows))[-1], StatementBalance)


def test_a_balance_that_does_not_follow_is_none() -> None:
    rows = ["2024-01-01,-5.00,95.00", "2024-01-02,10.00,105.00", "2024-01-03,-1.00,99.00"]
    assert balances(balanced(*rows)) == []
    assert len(amounts(balanced(*rows))) == 3


def test_one_line_and_its_balance() -> None:
    text = balanced("2024-01-31,-5.00,995.00")
    assert balances(text) == [
        ("opening", "2024-01-31", "1000.00"),
        ("closing", "2024-01-31", "995.00"),
    ]


def test_where_both_directions_add_up_the_dates_decide() -> None:
    rows = ["2024-01-02,5.00,5.00", "2024-01-01,0.00,0.00"]
    assert balances(balanced(*rows))[1] == ("closing", "2024-01-02", "5.00")
    assert balances(balanced(*reversed(rows)))[1] == ("closing", "2024-01-02", "5.00")


def test_set_aside_lines_count_for_the_balance_where_their_amount_is_known() -> None:
    rows = ["2024-01-01,-5.00,95.00", "2024-02-30,10.00,105.00", "2024-01-03,-1.00,104.00"]
    assert [amount for *_, amount in balances(balanced(*rows))] == ["100.00", "104.00"]
    rows[1] = "2024-01-02,?,105.00"
    assert balances(balanced(*rows)) == []


def test_pending_lines_and_lines_in_another_currency_are_not_in_the_balance() -> None:
    text = (
        "Date,Amount,Currency,Balance\n2024-01-01,1.00,EUR,1.00\n"
        "2024-01-02,1.00,USD,9.00\n2024-01-03,1.00,EUR,2.00\n"
    )
    assert balances(text) == []


def test_without_names_a_running_balance_tells_amount_and_balance_apart() -> None:
    rows = "2024-01-01,100.00,5.00,x\n2024-01-02,94.00,-6.00,y\n2024-01-03,95.00,1.00,z\n"
    assert amounts(rows) == ["5.00", "-6.00", "1.00"]
    assert len(balances(rows)) == 2
    # Money out and in, told apart by the balance.
    rows = "2024-01-01,5.00,,95.00,x\n2024-01-02,,7.00,102.00,y\n2024-01-03,2.00,,100.00,z\n"
    assert amounts(rows) == ["-5.00", "7.00", "-2.00"]
    # The balance before each line: it proves the amount, and is not the one after.
    rows = "2024-01-01,95.00,5.00,x\n2024-01-02,100.00,-6.00,y\n2024-01-03,94.00,1.00,z\n"
    assert amounts(rows) == ["5.00", "-6.00", "1.00"]
    assert balances(rows) == []


def test_two_columns_that_may_be_the_amount_are_asked_about() -> None:
    for header in ("", "when,amount a,amount b,note\n", "date,amount,amount,note\n"):
        text = header + "2024-01-01,100.00,5.00,x\n2024-01-02,9.00,-6.00,y\n"
        question = asked(text)
        assert question.question == "columns"
        assert [reading.sample[1][1] for reading in question.readings] == ["9.00", "-6.00"]
        chosen = question.readings[1].answers
        assert amounts(text, **chosen) == ["5.00", "-6.00"]
    # Twice the same is no question.
    assert amounts("date,amount,amount\n2024-01-01,5.00,5.00\n") == ["5.00"]


# --- how a file is written -----------------------------------------------------------------------

PLAIN = "Datum;Betrag;Empfänger\n31.01.2024;-1,50;Café Zürich\n"


@DETECTS
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(encoding: str) -> None:
    (line,) = lines(PLAIN.encode(encoding))
    assert (line.amount, line.counterparty) == ("-1.50", "Café Zürich")


def test_an_eastern_encoding_shows_in_the_header() -> None:
    text = "Datum zaúčtování;Částka;Název protiúčtu\n31.01.2024;-1,50;Žižkov\n"
    assert lines(text.encode("cp1250"))[0].counterparty == "Žižkov"


def test_a_letter_in_another_encoding_far_into_the_file() -> None:
    rows = "2024-01-31,1.50,plain text\n" * 20_000
    late = ("Date,Amount,Note\n" + rows).encode() + b"2024-02-01,2.50,Caf\xe9\n"
    assert lines(late)[-1].description == "Café"
    mixed = ("Date,Amount,Note\n2024-01-30,1.50,Café\n" + rows).encode() + b"2024-02-01,2,Caf\xe9\n"
    assert lines(mixed)[0].description == "Café"
    assert lines(mixed)[-1].description == "Caf\ufffd"


def test_an_encoding_can_be_said() -> None:
    text = "Date,Amount,Note\n2024-01-31,1.50,Привет\n"
    assert lines(text.encode("koi8-r"), encoding="koi8-r")[0].description == "Привет"
    for name in ("zlib", "idna", "undefined", "nonsense", "rot13", "utf-7", "\0"):
        assert refused(text, encoding=name).details[0][0] == "encoding"


@DETECTS
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends(delimiter: str, ending: str) -> None:
    rows = [
        ["Date", "Amount", "Note"],
        ["31.01.2024", "1.50", "a, b; c"],
        ["01.02.2024", "2.50", "d | e\tf"],
    ]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=ending).writerows(rows)
    found = lines(text.getvalue())
    assert [(line.place, line.amount) for line in found] == [(2, "1.50"), (3, "2.50")]
    assert found[1].description == "d | e\tf"


def test_the_delimiter_can_be_said() -> None:
    text = "Date:Amount:Note\n2024-01-31:1.50:x\n"
    assert "no column can be a date" in str(refused(text))
    assert amounts(text, delimiter=":") == ["1.50"]
    assert amounts(text.replace(":", "\t"), delimiter="tab") == ["1.50"]
    assert amounts("sep=;\nDate;Amount;Note\n2024-01-31;1,50;x\n") == ["1.50"]
    assert refused(text, delimiter="ab").details[0][0] == "delimiter"


def test_single_quotes() -> None:
    text = "'Date','Amount','Note'\n'2024-01-31','1,200.50','a, b'\n'2024-02-01','2.00','c'\n"
    assert [(line.amount, line.description) for line in lines(text)] == [
        ("1200.50", "a, b"),
        ("2.00", "c"),
    ]


def test_a_blank_before_a_quote() -> None:
    text = 'Date, Amount, Note\n2024-01-31, "1.50", "a, b"\n2024-02-01, "2.50", c\n'
    assert [line.description for line in lines(text)] == ["a, b", "c"]
    # A blank within the quotes is the text's.
    text = 'Date,Amount,Note\n2024-01-31,1.50,", "\n2024-02-01,2.50, c\n'
    assert [line.description for line in lines(text)] == [", ", " c"]


def test_quoted_text_over_several_lines_counts_its_lines() -> None:
    text = 'Date,Amount,Note\n2024-01-31,1.50,"a\nb"\n2024-02-01,2.50,c\n'
    assert [(line.place, line.description) for line in lines(text)] == [(2, "a\nb"), (4, "c")]


def test_a_quote_within_a_text_is_a_quote() -> None:
    assert lines('Date,Amount,Note\n2024-01-31,1.50,5" nail\n')[0].description == '5" nail'


def test_a_stray_quote_swallows_no_line() -> None:
    text = 'Date,Amount,Note\n2024-01-01,1,"abc\n2024-01-02,2,"def"\n2024-01-03,3,x\n'
    # The plain reading makes one good line of the two, and loses 2.
    assert len(next(csv.reader(['2024-01-01,1,"abc\n', '2024-01-02,2,"def"\n']))) == 3
    torn = "a quoted text does not end where it should"
    assert faults(text) == [(2, torn), (3, torn)]
    assert amounts(text) == ["3"]


def test_a_file_that_ends_within_a_quote() -> None:
    text = 'Date,Note,Amount\n2024-01-01,a,"1.50"\n2024-01-02,b,"12.5'
    assert faults(text) == [(3, "a quoted text does not end where it should")]


def test_a_header_further_down_or_none() -> None:
    text = "My bank\nReport of,2024-02-01\n\nDate,Amount,Note\n2024-01-31,1.50,x\n"
    assert [line.place for line in lines(text)] == [5]
    assert [line.place for line in lines("2024-01-31,1.50,x\n2024-02-01,2.50,y\n")] == [1, 2]
    assert [line.place for line in lines(text, header="4")] == [5]
    assert len(lines("2024-01-31,1.50,x\n2024-02-01,2.50,y\n", header="1")) == 1
    assert refused(text, header="77").details[0][0] == "header"
    assert refused(text, header="first").details[0][0] == "header"


def test_a_first_row_that_is_bad_is_not_taken_for_a_header() -> None:
    text = "2024-01-31,1.50,x,y,z\n2024-02-01,2.50,x,y\n2024-02-02,3.50,x,y\n"
    assert faults(text) == [(1, "has 5 columns where the file has 4")]


def test_rows_that_say_nothing() -> None:
    text = (
        "Date,Amount,Note\n2024-01-31,1.50,x\n,,\n\nDate,Amount,Note\n"
        "2024-02-01,2.50,Total eclipse\n2024-02-01,,Balance carried forward\n"
        ",,Opening balance\nTotal,4.00,\nClosing balance,,4.00\n"
    )
    assert amounts(text) == ["1.50", "2.50"]
    assert faults(text) == []
    # Torn off before its amount: Total sells petrol.
    assert faults("Date,Note,Amount\n2024-01-31,x,1.50\n2024-02-01,Total") == [
        (3, "has 2 columns where the file has 3")
    ]


def test_cells_after_the_last_column_may_be_empty_and_trailing_ones_may_be_missing() -> None:
    text = "Date,Amount,Note,\n2024-01-31,1.50,x\n2024-02-01,2.50,y,,,\n"
    assert amounts(text) == ["1.50", "2.50"]
    # Every row lacks the last column: then it is the header that is too long.
    assert amounts("Date,Amount,Note,Tag\n2024-01-31,1.50,x\n2024-02-01,2.50,y\n") == [
        "1.50",
        "2.50",
    ]


def test_a_header_alone_is_a_statement_without_lines() -> None:
    assert items("Date,Amount,Note\n") == [StatementAccount(number=None, asset=None)]


def test_nothing_at_all() -> None:
    for data in (b"", b"\xef\xbb\xbf", b"\n\n  \n", b"\xff\xfe"):
        with pytest.raises(StatementEmpty):
            items(data)


# --- answers -------------------------------------------------------------------------------------


def test_columns_can_be_said() -> None:
    text = "x,y,z\n5.00,2024-01-01,a\n6.00,2024-01-02,b\n"
    assert amounts(text, columns="debit,date,counterparty") == ["-5.00", "-6.00"]
    assert lines(text, columns="amount,date,category")[0].category == "a"
    assert amounts(text.replace("a", "C").replace("b", "D"), columns="amount,date,indicator") == [
        "5.00",
        "-6.00",
    ]
    assert amounts(text, columns="amount, date") == ["5.00", "6.00"]


@pytest.mark.parametrize(
    "columns",
    [
        "date", "amount,date,what", "date,date,amount", "amount,debit,date", "description",
        "amount,date,skip,skip", "amount,date,indicator", "debit,date,indicator", ",",
    ],
)  # fmt: skip
def test_columns_that_cannot_be_are_refused(columns: str) -> None:
    text = "x,y,z\n5.00,2024-01-01,a\n6.00,2024-01-02,b\n"
    assert refused(text, columns=columns).details[0][0] == "columns"


@pytest.mark.parametrize(
    "key, value",
    [("date_order", "dym"), ("decimal", "'"), ("currency", "no money"), ("invert", "1")],
)
def test_answers_that_mean_nothing_are_refused(key: str, value: str) -> None:
    assert refused(priced("1.50"), **{key: value}).details[0][0] == key


# --- recognition and layout ----------------------------------------------------------------------


def test_other_formats_are_not_recognised() -> None:
    for head in (
        b"<?xml version='1.0'?><a>2024-01-01,5.00</a>", b"OFXHEADER:100\r\nDATA:OFXSGML\r\n",
        b"!Type:Bank\nD01/02/2024\nT-5.00\n^\n", b"%PDF-1.7\n", b"PK\x03\x04\0\0", b"\0\1\2", b"",
        b":20:REF\r\n:25:NL91ABNA0417164300\r\n:60F:C240101EUR100,00\r\n", b"hello", b"{}",
    ):  # fmt: skip
        assert CSV.recognises(head, "statement") == 0
        assert CSV.recognises(head, "statement.csv") <= 10


def test_recognition_is_surer_with_the_name() -> None:
    assert CSV.recognises(PLAIN.encode(), "a.CSV") > CSV.recognises(PLAIN.encode(), "a.txt") > 0


def test_the_layout_stays_while_the_lines_change() -> None:
    one = CSV.layout(b"Date,Amount,Note\n2024-01-31,1.50,x\n")
    assert one == CSV.layout(b"\xef\xbb\xbfdate, amount ,NOTE\r\n2024-03-31,-9.50,yy\r\n")
    assert one == CSV.layout(b"Date,Amount,Note\n2024-01-31,1.50,x\n" * 4000)
    assert one != CSV.layout(b"Date;Amount;Note\n2024-01-31;1.50;x\n")
    assert one != CSV.layout(b"Date,Note,Amount\n2024-01-31,x,1.50\n")
    bare = CSV.layout(b"2024-01-31,1.50,x\n")
    assert bare == CSV.layout(b"2024-02-28,-7.00,yyy\n2024-03-01,2.50,\n")
    assert bare != CSV.layout(b"x,2024-01-31,1.50\n")
    assert CSV.layout(b"") is None
    assert CSV.layout(b"\0") is None


@needs_shared
def test_every_real_layout_has_its_own_name() -> None:
    paths = [path for path in FOLDER.rglob("*") if path.suffix.lower() in (".csv", ".dat")]
    layouts = {CSV.layout(path.read_bytes()[:65536]) for path in paths}
    assert len(layouts) == len(paths)
    assert all(layout and len(layout) < 200 for layout in layouts)


# --- round trips ---------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Export:
    """How some bank writes its lines."""

    encoding: str
    delimiter: str
    ending: str
    quoting: Literal[0, 1]
    mark: str
    group: str
    day: str
    header: tuple[str, str, str, str]
    order: list[int]
    split: str
    newest_first: bool


HEADERS = [
    ("Booking date", "Amount", "Description", "Counterparty"),
    ("Buchungstag", "Betrag", "Verwendungszweck", "Empfänger"),
    ("Datum", "Bedrag", "Omschrijving", "Naam tegenpartij"),
    ("Date", "Montant", "Libellé", "Bénéficiaire"),
    ("Fecha", "Importe", "Concepto", "Beneficiario"),
]
SPLITS = {"two": ("Debit", "Credit"), "indicator": ("Debit/Credit", "")}
EXPORTS = st.builds(
    Export,
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    delimiter=st.sampled_from(",;\t|"),
    ending=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    mark=st.sampled_from(".,"),
    group=st.sampled_from(["", "'", " ", "other"]),
    day=st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%Y%m%d", "%d %b %Y", "%Y/%m/%d %H:%M:%S"]),
    header=st.sampled_from(HEADERS),
    order=st.permutations(range(4)),
    split=st.sampled_from(["", "two", "indicator"]),
    newest_first=st.booleans(),
)
# Letters whose windows-1252 bytes are never UTF-8, and what csv has to quote.
TEXTS = st.text("abcXYZ 019,;|\t\"'.-/()äöüéèÀ\n", max_size=20).map(
    lambda text: text if text.strip() else ""
)
LINES = st.lists(
    st.tuples(
        st.dates(date(1990, 1, 1), date(2060, 12, 31)),
        st.integers(-(10**9), 10**9).filter(bool),
        TEXTS,
        TEXTS,
    ),
    min_size=1,
    max_size=12,
)
Line = tuple[date, int, str, str]


def number(cents: int, export: Export) -> str:
    whole, fraction = divmod(abs(cents), 100)
    group = {"other": ".,".replace(export.mark, "")}.get(export.group, export.group)
    return f"{'-' * (cents < 0)}{whole:,}".replace(",", group) + f"{export.mark}{fraction:02d}"


def row_of(line: Line, export: Export) -> list[str]:
    day, cents, text, payee = line
    cells = [day.strftime(export.day), number(cents, export), text, payee]
    ordered = [cells[at] for at in export.order]
    place = export.order.index(1)
    unsigned = number(abs(cents), export)
    if export.split == "two":
        ordered[place : place + 1] = [unsigned, ""] if cents < 0 else ["", unsigned]
    elif export.split == "indicator":
        ordered[place : place + 1] = ["D" if cents < 0 else "C", unsigned]
    return ordered


def render(found: list[Line], export: Export) -> bytes:
    header = [export.header[at] for at in export.order]
    place = export.order.index(1)
    if export.split:
        first, second = SPLITS[export.split]
        header[place : place + 1] = [first, second or header[place]]
    text = io.StringIO(newline="")
    writer = csv.writer(
        text, delimiter=export.delimiter, lineterminator=export.ending, quoting=export.quoting
    )
    writer.writerow(header)
    writer.writerows(row_of(line, export) for line in found)
    return text.getvalue().encode(export.encoding)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LINES, EXPORTS)
def test_what_is_written_is_read_back(found: list[Line], export: Export) -> None:
    found = sorted(found, reverse=export.newest_first)
    read = items(render(found, export))
    assert only(FaultyLine, read) == []
    assert [
        (line.date, int(Decimal(line.amount) * 100), line.description, line.counterparty or "")
        for line in only(StatementLine, read)
    ] == found


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.dates(date(2000, 1, 1), date(2060, 1, 1)), st.integers(-(10**7), 10**7)),
        min_size=1,
        max_size=30,
    ),
    st.integers(-(10**9), 10**9),
    st.booleans(),
)
def test_the_balances_are_those_the_lines_add_up_to(
    found: list[tuple[date, int]], opening: int, newest_first: bool
) -> None:
    rows, balance = [], opening
    for day, cents in sorted(found):
        balance += cents
        rows.append(f"{day},{two_decimals(cents, '.')},{two_decimals(balance, '.')}")
    if newest_first:
        rows.reverse()
    read = balances(balanced(*rows), columns="date,amount,balance")
    assert [Decimal(amount) * 100 for *_, amount in read] == [opening, balance]
    assert [day for _, day, _ in read] == [str(min(found)[0]), str(max(found)[0])]


# --- bad input -----------------------------------------------------------------------------------

PLAIN_AMOUNT = re.compile(r"-?[0-9]{1,100}(\.[0-9]{1,100})?", re.ASCII)
ANSWERS = st.dictionaries(
    st.sampled_from(
        ["date_order", "decimal", "delimiter", "encoding", "header", "columns", "invert", "account",
         "currency", "other"]
    ),
    st.sampled_from(
        ["dmy", "mdy", ",", ".", ";", "tab", "utf-8", "utf-16", "cp1252", "0", "1", "3", "yes",
         "EUR", "date,amount", "date,description,amount", "description,debit,date,credit,balance",
         "date,amount,indicator", "fee,date,amount,balance,state,account,currency"]
    ),
    max_size=3,
)  # fmt: skip
SEEDS = [
    REVOLUT.encode(),
    PLAIN.encode("cp1252"),
    balanced("2024-01-01,-5.00,95.00", "2024-01-02,10.00,105.00").encode(),
    'A,IBAN:,NL20INGB0001234567\n\nDate,"Af Bij",Amount\n2024-01-01,Af,"1,50"\n'.encode("utf-16"),
    b"01/02/2024;1.234;a\n02/02/2024;2.345;b\n",
    b"Account,Date,Amount,Balance\nA1,2024-01-01,1.00,11.00\nA1,2024-01-02,2.00,13.00\n"
    b"B2,2024-01-02,3.00,3.00\nB2,2024-01-03,4.00,7.00\n",
]


def assert_contract(data: bytes, answers: dict[str, str]) -> None:
    """Only refusals are raised, and what is yielded is what the contract says."""
    assert 0 <= CSV.recognises(data, "x.csv") <= 100
    layout = CSV.layout(data)
    assert layout is None or len(layout) < 300
    found: list[StatementItem] = []
    try:
        found.extend(CSV.read(io.BytesIO(data), answers))
    except StatementRefused:
        return
    assert isinstance(found[0], StatementAccount)
    for item in found:
        if isinstance(item, StatementLine):
            assert PLAIN_AMOUNT.fullmatch(item.amount)
            assert item.place > 0
            json.dumps(item.raw)


@settings(max_examples=120, deadline=None)
@given(st.binary(max_size=300), ANSWERS)
def test_garbage_is_refused_or_read(data: bytes, answers: dict[str, str]) -> None:
    assert_contract(data, answers)


@settings(max_examples=120, deadline=None)
@given(st.text("0123456789-./,;|\t\"'\r\n DCabEUR€", max_size=200), ANSWERS)
def test_garbage_that_looks_like_csv_is_refused_or_read(text: str, answers: dict[str, str]) -> None:
    assert_contract(text.encode(), answers)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 6), st.binary(max_size=3)), max_size=5),
    ANSWERS,
)
def test_damaged_files_are_refused_or_read(
    data: bytes, damage: list[tuple[int, int, bytes]], answers: dict[str, str]
) -> None:
    for at, length, new in damage:
        data = data[:at] + new + data[at + length :]
    assert_contract(data, answers)


def test_an_unclosed_quote_is_refused_with_the_line_it_opens_on() -> None:
    head = 'Date,Amount,Note\n2024-01-01,1.50,x\n2024-01-02,2.50,"y\n'
    assert refused(head + "2024-01-03,3.50,z\n" * 2000).details[0] == (
        "line 3",
        "a quote opens here and is not closed",
    )
    # So long as it is short it costs the lines it covers, each of which is reported.
    assert [place for place, _ in faults(head + "2024-01-03,3.50,z\n" * 3)] == [3, 4, 5, 6]


def test_sizes_that_are_refused() -> None:
    head = "Date,Amount,Note\n2024-01-01,1.50,x\n"
    assert refused(head + f'2024-01-02,2.50,"{"y" * 140_000}"\n').details[0] == (
        "line 3",
        "a field is too long",
    )
    long = refused(head + "y" * 1_100_000 + "\n")
    assert isinstance(long, StatementTooLarge)
    assert long.details[0][0] == "line 3"
    wide = ",".join(["Date", "Amount", *["x"] * 63])
    assert isinstance(refused(f"{wide}\n2024-01-01,1.50{',y' * 63}\n"), StatementTooLarge)
    assert refused(head + "2024-01-02,2\0,x\n").details[0] == (
        "line 3",
        "holds a NUL; this is no text",
    )
    assert refused((head + "\0").encode("utf-16")).details[0][1] == "holds a NUL; this is no text"


def test_the_file_stays_open_and_is_left_where_a_reader_stops() -> None:
    file = io.BytesIO(PLAIN.encode())
    found = CSV.read(file, {})
    next(found)
    del found
    assert not file.closed
    list(CSV.read(file, {}))
    assert not file.closed


# --- hostile input -------------------------------------------------------------------------------

UNDER_LIMITS = """
import resource, sys
from finora_core.plugins import StatementRefused
from finora_core.records.formats.csv import CsvStatements

file = open(sys.argv[1], "rb")
most = 300 << 20
resource.setrlimit(resource.RLIMIT_AS, (most, most))
used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
resource.setrlimit(resource.RLIMIT_CPU, (int(used) + 4, int(used) + 5))
try:
    CsvStatements().recognises(file.read(65536), "x.csv")
    file.seek(0)
    CsvStatements().layout(file.read(65536))
    print(sum(1 for _ in CsvStatements().read(file, {})), "items")
except StatementRefused as refused:
    print(refused.code, refused)
"""

TOP = b"Date,Amount,Note\n2024-01-01,1.50,x\n"
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a quote never closed, 50 MB of short lines": (
        lambda: TOP + b'2024-01-02,2.50,"' + b"2024-01-03,3.50,z\n" * 2_800_000,
        "STATEMENT_UNREADABLE line 3",
    ),
    "a quote never closed, 50 MB in long lines": (
        lambda: TOP + b'2024-01-02,2.50,"' + (b"z" * 100_000 + b"\n") * 500,
        "STATEMENT_UNREADABLE line 3",
    ),
    "one line of 50 MB": (lambda: b"a," * 25_000_000, "STATEMENT_TOO_LARGE line 1"),
    "50 MB of quotes": (lambda: b'"' * 50_000_000, "STATEMENT_TOO_LARGE line 1"),
    "50 MB of line ends": (lambda: b"\n" * 50_000_000, "STATEMENT_TOO_LARGE"),
    "50 MB of blanks": (lambda: b" " * 50_000_000, "STATEMENT_TOO_LARGE line 1"),
    "50 MB of NUL": (lambda: b"\0" * 50_000_000, "STATEMENT_UNREADABLE line 1"),
    "50 MB of garbage": (lambda: b"\x9a\x12\n" * 16_000_000, "STATEMENT_TOO_LARGE"),
    "10,000 columns": (
        lambda: (b"Date,Amount" + b",x" * 10_000 + b"\n2024-01-01,1.50" + b",y" * 10_000) * 20,
        "STATEMENT_TOO_LARGE line 1",
    ),
    "quotes that open on every line": (lambda: TOP + b'x,"b\n' * 300_000, "300002 items"),
    "every line another account": (
        lambda: b"Account,Date,Amount\n" + b"A1,2024-01-01,1.50\n" * 4000
        + b"".join(b"A%d,2024-01-01,1.50\n" % at for at in range(200_000)),
        "404001 items",
    ),
    "numbers of 100,000 digits": (
        lambda: TOP + (b"2024-01-01," + b"9" * 100_000 + b",x\n") * 100,
        "102 items",
    ),
    "numbers of signs and marks": (
        lambda: TOP + (b"2024-01-01," + b"1.,-' " * 16_000 + b",x\n") * 100,
        "102 items",
    ),
    "dates of 100,000 digits": (
        lambda: TOP + (b"2024-01-01 " + b"1 " * 50_000 + b",1.50,x\n") * 100,
        "102 items",
    ),
    "a header of nothing but words": (
        lambda: b"Date,Amount," + b"amount " * 9_000 + b"\n2024-01-01,1.50,x\n" * 1000,
        "1001 items",
    ),
    "every cell a date and a number": (
        lambda: (b"20240101," * 63 + b"1.50\n") * 3000,
        "3001 items",
    ),
    "columns that all may be amounts": (
        lambda: (b"2024-01-01" + b",1.50" * 63 + b"\n2024-01-02" + b",2.50" * 63 + b"\n") * 2000,
        "STATEMENT_AMBIGUOUS",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_cost_little(name: str, tmp_path: Path) -> None:
    make, answer = HOSTILE[name]
    path = tmp_path / "hostile.csv"
    path.write_bytes(make())
    try:
        ran = subprocess.run(
            [sys.executable, "-c", UNDER_LIMITS, str(path)],
            check=False,
            capture_output=True,
            text=True,
        )
    finally:
        path.unlink()
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(answer)
