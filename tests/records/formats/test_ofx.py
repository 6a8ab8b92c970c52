"""OFX: real files, each rule, bad input, hostile input."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finora_core.kernel.amount import BadAmount, units_of
from finora_core.kernel.currencies import DIGITS
from finora_core.plugins import (
    FaultyLine,
    StatementAccount,
    StatementBalance,
    StatementEmpty,
    StatementItem,
    StatementLine,
    StatementRefused,
    StatementTooLarge,
)
from finora_core.records.formats.ofx import OfxStatements
from shared_data import SHARED, needs_shared

OFX = OfxStatements()
FOLDER = SHARED / "bank" / "ofx"
PROVES = pytest.mark.spec("S0-62", partial=True)


def shortly(value: object) -> str:
    """An id for parameters that are long texts."""
    return repr(value)[:40]


def items(data: bytes | str) -> list[StatementItem]:
    return list(OFX.read(io.BytesIO(data.encode() if isinstance(data, str) else data), {}))


def parts(data: bytes | str) -> list[list[StatementItem]]:
    """The items by statement, each led by its StatementAccount."""
    found: list[list[StatementItem]] = []
    for item in items(data):
        if isinstance(item, StatementAccount):
            found.append([])
        found[-1].append(item)
    return found


def lines_of(found: list[StatementItem]) -> list[StatementLine]:
    return [item for item in found if isinstance(item, StatementLine)]


def faults_of(found: list[StatementItem]) -> list[FaultyLine]:
    return [item for item in found if isinstance(item, FaultyLine)]


def balances_of(found: list[StatementItem]) -> list[StatementBalance]:
    return [item for item in found if isinstance(item, StatementBalance)]


HEADER = "OFXHEADER:100\nDATA:OFXSGML\nVERSION:102\nENCODING:USASCII\nCHARSET:1252\n\n"
ACCOUNT = "<BANKACCTFROM><BANKID>9<ACCTID>12~3<ACCTTYPE>CHECKING</BANKACCTFROM>"


# The line on which the first thing in a statement made by `ofx(statement(...))` begins.
PLACE = 10


def transaction(
    day: str = "<DTPOSTED>20240115",
    amount: str = "<TRNAMT>-12.34",
    rest: str = "<FITID>f1<NAME>Shop<MEMO>bread",
) -> str:
    return f"<STMTTRN><TRNTYPE>DEBIT{day}{amount}{rest}</STMTTRN>\n"


def statement(
    *inside: str, head: str = f"<CURDEF>EUR{ACCOUNT}", after: str = "", kind: str = "STMT"
) -> str:
    return (
        f"<{kind}TRNRS><{kind}RS>{head}\n<BANKTRANLIST>\n{''.join(inside)}</BANKTRANLIST>"
        f"{after}</{kind}RS></{kind}TRNRS>\n"
    )


def ofx(*statements: str, header: str = HEADER) -> str:
    return f"{header}<OFX>\n<BANKMSGSRSV1>{''.join(statements)}</BANKMSGSRSV1>\n</OFX>\n"


def one(text: str) -> StatementItem:
    """What becomes of the only transaction of a statement."""
    (_, item) = items(ofx(statement(text)))
    return item


# --- real files ----------------------------------------------------------------------------------

EXPECTED = sorted(path.name.removesuffix(".json") for path in FOLDER.glob("expected/*.json"))

# ofxparse converts to UTC; a bank's day is the day it wrote: 20:20 of the 15th stays the 15th.
LOCAL_DATES = {("investment_medium.ofx", "2009-12-16"): "2009-12-15"}
# Files from which ofxparse makes accounts, or nothing at all, without complaint.
NO_STATEMENT = {
    "account_listing_aggregation.ofx",  # a list of accounts is no statement of any of them
    "bank_small.ofx",
}
# The bank calculates in hundredths of a cent here, which are no dollars: the gate sets them aside.
TOO_FINE = {"115.8331", "-197.1063", "-197.1220"}


def expected(name: str) -> Any:
    return json.loads((FOLDER / "expected" / f"{name}.json").read_text())


def day_of_balance(name: str, number: str) -> date:
    """The DTASOF after the account's number, read off the file's text."""
    text = (FOLDER / name).read_text().split(f"<ACCTID>{number}", 1)[1]
    written = text.split("<LEDGERBAL>", 1)[1].split("<DTASOF>", 1)[1][:8]
    return date.fromisoformat(written)


@needs_shared
@PROVES
@pytest.mark.parametrize(
    "name", [n for n in EXPECTED if n not in NO_STATEMENT | {"date_missing.ofx", "signon_fail.ofx"}]
)
def test_real_file(name: str) -> None:
    found = parts((FOLDER / name).read_bytes())
    accounts = expected(name)["accounts"]
    assert len(found) == len(accounts)
    for wanted, part in zip(accounts, found, strict=True):
        account = part[0]
        assert isinstance(account, StatementAccount)
        assert account.number == wanted["account_id"]
        assert account.bank == (wanted["routing"] or None)
        assert account.asset == wanted["currency"].upper()
        assert faults_of(part) == []
        # Buys and sells are in the expected lists too; they have no line here.
        cash = [line for line in wanted["transactions"] if "tradeDate" not in line]
        compare_lines(name, account, lines_of(part), cash)
        compare_balance(name, account, balances_of(part), wanted)


def compare_lines(
    name: str, account: StatementAccount, lines: list[StatementLine], wanted: list[Any]
) -> None:
    assert len(lines) == len(wanted)
    for line, facts in zip(lines, wanted, strict=True):
        day = LOCAL_DATES.get((name, facts["date"]), facts["date"])
        assert line.date == date.fromisoformat(day)
        assert Decimal(line.amount) == Decimal(facts["amount"])
        scale = DIGITS[line.asset or account.asset or ""]
        if facts["amount"] in TOO_FINE:
            with pytest.raises(BadAmount):
                units_of(line.amount, scale)
        else:
            assert units_of(line.amount, scale) == Decimal(facts["amount"]).scaleb(scale)
        assert line.bank_id == facts["fitid"]
        assert (line.counterparty or "") == facts["payee"]
        # Where there is no memo, the payee describes the line.
        assert line.description == (facts["memo"] or facts["payee"])
        assert isinstance(line.raw, dict)
        assert line.raw["TRNTYPE"].lower() == facts["type"]
        assert line.raw.get("CHECKNUM") == facts["checknum"]


def compare_balance(
    name: str, account: StatementAccount, balances: list[StatementBalance], wanted: Any
) -> None:
    if "balance" not in wanted:
        assert balances == []
        return
    (balance,) = balances
    assert balance.kind == "observed"
    assert Decimal(balance.amount) == Decimal(wanted["balance"])
    assert units_of(balance.amount, DIGITS[account.asset or ""]) is not None
    assert balance.date == day_of_balance(name, account.number or "")


@needs_shared
@PROVES
@pytest.mark.parametrize("name", sorted(NO_STATEMENT))
def test_real_file_without_statement(name: str) -> None:
    with pytest.raises(StatementEmpty):
        items((FOLDER / name).read_bytes())


@needs_shared
@PROVES
def test_real_file_of_a_refused_sign_on_names_the_banks_message() -> None:
    # ofxparse returns no account and no error.
    with pytest.raises(StatementRefused, match="15500: Your request could not be processed") as no:
        items((FOLDER / "signon_fail.ofx").read_bytes())
    assert no.value.code == "STATEMENT_UNREADABLE"


@needs_shared
@PROVES
def test_real_file_with_missing_dates_sets_those_lines_aside() -> None:
    # ofxparse refuses the file; its lenient mode discards the same three.
    found = items((FOLDER / "date_missing.ofx").read_bytes())
    assert [(fault.place, fault.amount) for fault in faults_of(found)] == [
        (33, "-80.00"),
        (40, "200.00"),
        (48, "200.00"),
    ]
    assert lines_of(found) == []
    assert len(faults_of(found)) == expected("date_missing.ofx")["lenient"]["discarded_entries"]
    assert balances_of(found) == [
        StatementBalance(kind="observed", date=date(2011, 6, 14), amount="0", place=58)
    ]


@needs_shared
@PROVES
def test_real_file_with_more_decimals_than_cents() -> None:
    # The README: -30.00 and -3.77, stored as integer cents -3000 and -377.
    found = items((FOLDER / "actual-multi-decimal.ofx").read_bytes())
    assert [units_of(line.amount, 2) for line in lines_of(found)] == [-3000, -377]
    assert [line.date for line in lines_of(found)] == [date(2019, 1, 23)] * 2
    assert [line.bank_id for line in lines_of(found)] == [
        "00092990122-30.00019012312798.01",
        "00092990121-3.77019012312828.01",
    ]


@needs_shared
@PROVES
def test_real_file_agrees_with_beanguls_golden_file() -> None:
    golden = (FOLDER / "expected" / "ofxdownload.ofx.beancount").read_text()
    found = items((FOLDER / "ofxdownload.ofx").read_bytes())
    for line in lines_of(found):
        assert f"{line.date} * " in golden
        assert f"{line.counterparty} / {line.description}" in golden
        assert f"  {line.amount} USD" in golden
    (balance,) = balances_of(found)
    # Beancount's balance holds in the morning: hence its date is the next day.
    assert (balance.date, balance.amount) == (date(2013, 12, 18), "-2356.38")
    assert "2013-12-19 balance" in golden


@needs_shared
@PROVES
def test_every_real_file_is_recognised_and_none_of_another_format() -> None:
    for path in FOLDER.glob("*.ofx"):
        assert OFX.recognises(path.read_bytes()[:65536], "statement.txt") >= 95
    for path in [*SHARED.glob("bank/qif/*.qif"), *SHARED.glob("bank/mt940/*.*")]:
        assert OFX.recognises(path.read_bytes()[:65536], path.name) == 0


@needs_shared
@PROVES
def test_every_real_file_says_the_same_in_other_clothes() -> None:
    """Line ends and encodings change nothing."""
    for path in FOLDER.glob("*.ofx"):
        try:
            wanted = [item_without_place(item) for item in items(path.read_bytes())]
        except StatementRefused:
            continue
        text = path.read_text()
        for dressed in (
            text.replace("\n", "\r\n").encode(),
            text.replace("\n", "\r").encode(),
            b"\xef\xbb\xbf" + text.encode(),
            text.encode("utf-16"),
        ):
            assert [item_without_place(item) for item in items(dressed)] == wanted


def item_without_place(item: StatementItem) -> str:
    return repr(item).replace(f"place={getattr(item, 'place', 0)}", "")


# --- recognition ---------------------------------------------------------------------------------


@PROVES
@pytest.mark.parametrize(
    ("head", "filename", "sure"),
    [
        (HEADER.encode(), "a.txt", 100),
        (HEADER.encode("utf-16"), "a.txt", 100),
        (b'<?xml version="1.0"?><?OFX OFXHEADER="200"?>', "a.xml", 100),
        (b"\r\n<ofx>", "a", 95),
        (b"hello", "a.QFX", 30),
        (b"", "a.ofx", 30),
        (b"Date;Amount\n", "a.csv", 0),
        (b"<Document xmlns='urn:iso:std:iso:20022'>", "a.xml", 0),
    ],
)
def test_recognises(head: bytes, filename: str, sure: int) -> None:
    assert OFX.recognises(head, filename) == sure


def test_needs_no_answers() -> None:
    assert OFX.layout(HEADER.encode()) is None
    assert OFX.name == "ofx"


# --- accounts ------------------------------------------------------------------------------------


@PROVES
def test_bank_account() -> None:
    assert items(ofx(statement()))[0] == StatementAccount(
        number="12~3", asset="EUR", bank="9", kind="asset"
    )


@PROVES
def test_card_and_credit_line_are_liabilities() -> None:
    card = "<CCACCTFROM><ACCTID>4111</CCACCTFROM>"
    credit = ACCOUNT.replace("CHECKING", "CREDITLINE")
    found = items(
        ofx(
            statement(head=f"<CURDEF>eur{card}", kind="CCSTMT"),
            statement(head=f"<CURDEF>EUR{credit}"),
        )
    )
    assert found == [
        StatementAccount(number="4111", asset="EUR", kind="liability"),
        StatementAccount(number="12~3", asset="EUR", bank="9", kind="liability"),
    ]


@PROVES
def test_investment_account_has_cash_lines_and_no_invented_ones() -> None:
    sale = (
        "<SELLMF><INVSELL><INVTRAN><FITID>1<DTTRADE>20240101</INVTRAN><TOTAL>9</INVSELL></SELLMF>"
    )
    found = items(
        ofx(
            "<INVSTMTTRNRS><INVSTMTRS><DTASOF>20240101<CURDEF>USD<INVACCTFROM><BROKERID>b.com"
            f"<ACCTID>X1</INVACCTFROM><INVTRANLIST>{sale}<INVBANKTRAN>{transaction()}"
            "<SUBACCTFUND>CASH</INVBANKTRAN></INVTRANLIST><INVPOSLIST><POSMF><UNITS>3<MKTVAL>7"
            "</POSMF></INVPOSLIST><INVBAL><AVAILCASH>5</INVBAL></INVSTMTRS></INVSTMTTRNRS>"
        )
    )
    assert found[0] == StatementAccount(number="X1", asset="USD")
    assert [line.amount for line in lines_of(found)] == ["-12.34"]
    assert len(found) == 2


@PROVES
def test_several_accounts_keep_their_own_lines() -> None:
    other = ACCOUNT.replace("12~3", "77")
    found = parts(
        ofx(
            statement(transaction()),
            statement(transaction(amount="<TRNAMT>5"), head=f"<CURDEF>USD{other}"),
        )
    )
    assert [[part[0].number, part[0].asset, part[1].amount] for part in found] == [  # type: ignore[union-attr]  # an account
        ["12~3", "EUR", "-12.34"],
        ["77", "USD", "5"],
    ]


@PROVES
def test_head_after_the_lines_still_comes_first() -> None:
    late = statement(transaction(), transaction(), head="", after=f"{ACCOUNT}<CURDEF>EUR")
    other = ACCOUNT.replace("12~3", "77")
    found = parts(ofx(late, statement(transaction(), head="", after=f"<CURDEF>USD{other}")))
    assert [part[0] for part in found] == [
        StatementAccount(number="12~3", asset="EUR", bank="9"),
        StatementAccount(number="77", asset="USD", bank="9"),
    ]
    assert [len(lines_of(part)) for part in found] == [2, 1]


@PROVES
def test_unnamed_account_and_unsaid_currency_are_unknown() -> None:
    found = items(ofx(statement(transaction(), head="")))
    assert found[0] == StatementAccount(number=None, asset=None)
    assert len(lines_of(found)) == 1


@PROVES
@pytest.mark.parametrize("second", [ACCOUNT.replace("12~3", "77"), "<CURDEF>USD"])
def test_two_accounts_or_currencies_in_one_statement_are_refused(second: str) -> None:
    with pytest.raises(StatementRefused, match="one statement, both of"):
        items(ofx(statement(head=f"<CURDEF>EUR{ACCOUNT}{second}")))


@PROVES
def test_accounts_listed_outside_statements_are_none_of_theirs() -> None:
    listed = (
        f"<SIGNUPMSGSRSV1><ACCTINFO>{ACCOUNT.replace('12~3', '88')}</ACCTINFO></SIGNUPMSGSRSV1>"
    )
    found = items(ofx(listed, statement(transaction()), listed))
    assert [type(item) for item in found] == [StatementAccount, StatementLine]
    assert found[0].number == "12~3"  # type: ignore[union-attr]  # an account


# --- lines ---------------------------------------------------------------------------------------


@PROVES
def test_line() -> None:
    assert one(transaction()) == StatementLine(
        place=PLACE,
        date=date(2024, 1, 15),
        amount="-12.34",
        description="bread",
        counterparty="Shop",
        bank_id="f1",
        raw={
            "TRNTYPE": "DEBIT",
            "DTPOSTED": "20240115",
            "TRNAMT": "-12.34",
            "FITID": "f1",
            "NAME": "Shop",
            "MEMO": "bread",
        },
    )


@PROVES
def test_place_is_the_line_where_the_transaction_begins() -> None:
    text = ofx(statement(transaction().replace("<", "\n<"), transaction()))
    lines = text.splitlines()
    for line in lines_of(items(text)):
        assert "<STMTTRN>" in lines[line.place - 1]


@PROVES
@pytest.mark.parametrize(
    ("rest", "counterparty", "description"),
    [
        ("<NAME>Shop", "Shop", "Shop"),
        ("<MEMO>bread", None, "bread"),
        ("<PAYEE><NAME>Shop<CITY>Bonn</PAYEE><MEMO>bread", "Shop", "bread"),
        ("<PAYEE>Shop<MEMO>bread", "Shop", "bread"),
        ("<NAME><MEMO>bread", None, "bread"),
        ("<NAME></NAME><MEMO/>", None, ""),
        ("<BANKACCTTO><NAME>no</BANKACCTTO><NAME>yes", "yes", "yes"),
        ("<MEMO>one<MEMO>two", None, "one\ntwo"),
        ("", None, ""),
    ],
)
def test_texts(rest: str, counterparty: str | None, description: str) -> None:
    line = one(transaction(rest=rest))
    assert isinstance(line, StatementLine)
    assert (line.counterparty, line.description, line.bank_id) == (counterparty, description, None)


@PROVES
@pytest.mark.parametrize(
    ("rest", "asset"),
    [
        ("<CURRENCY><CURRATE>1.1<CURSYM>usd</CURRENCY>", "USD"),
        ("<CURRENCY><CURRATE>1<CURSYM>EUR</CURRENCY>", None),
        ("<CURRENCY>USD", "USD"),
        # Its amount was converted into the statement's currency already.
        ("<ORIGCURRENCY><CURRATE>1.1<CURSYM>USD</ORIGCURRENCY>", None),
    ],
)
def test_currency_of_a_line(rest: str, asset: str | None) -> None:
    line = one(transaction(rest=rest))
    assert isinstance(line, StatementLine)
    assert line.asset == asset


@PROVES
def test_currency_that_is_not_named_is_a_fault() -> None:
    assert one(transaction(rest="<CURRENCY><CURRATE>2</CURRENCY>")) == FaultyLine(
        place=PLACE, reason="CURRENCY names no currency"
    )


@PROVES
def test_foreign_money_does_not_count_for_the_control_sum() -> None:
    fault = one(transaction(day="", rest="<CURRENCY><CURRATE>2<CURSYM>USD</CURRENCY>"))
    assert fault == FaultyLine(place=PLACE, reason="DTPOSTED is missing", amount=None)


@PROVES
def test_pending_lines() -> None:
    pending = transaction(day="<DTTRAN>20240117").replace("STMTTRN", "STMTTRNP")
    after = f"<BANKTRANLISTP><DTASOF>20240118{pending}</BANKTRANLISTP>"
    found = lines_of(items(ofx(statement(transaction(), after=after))))
    assert [(line.booked, line.date) for line in found] == [
        (True, date(2024, 1, 15)),
        (False, date(2024, 1, 17)),
    ]


@PROVES
@pytest.mark.parametrize("action", ["<CORRECTFITID>f0<CORRECTACTION>DELETE", "<CORRECTFITID>f0"])
def test_corrections_are_set_aside(action: str) -> None:
    # A DELETE taken for a line of its own would count the money twice.
    fault = one(transaction(rest=f"<FITID>f2{action}"))
    assert isinstance(fault, FaultyLine)
    assert fault.amount is None
    assert "corrects" in fault.reason


@PROVES
@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("20090401122017.000[-5:EST]", date(2009, 4, 1)),
        ("20090401235959[+14]", date(2009, 4, 1)),
        ("20090401000000[-12:X Y]", date(2009, 4, 1)),
        ("20090401120000[5.5:IST]", date(2009, 4, 1)),
        ("20090401120000[-:EST]", date(2009, 4, 1)),
        ("20090401120000[GMT]", date(2009, 4, 1)),
        ("200904011200", date(2009, 4, 1)),
        ("20240229", date(2024, 2, 29)),
    ],
)
def test_dates(text: str, day: date) -> None:
    line = one(transaction(day=f"<DTPOSTED>{text}"))
    assert isinstance(line, StatementLine)
    assert line.date == day


@PROVES
@pytest.mark.parametrize(
    "text",
    [
        "20090401250000", "20090401240000", "20090401126000", "20090401120060", "20091301",
        "20090230", "20230229", "20090400", "00000000", "2009040", "200904011", "2009-04-01",
        "20090401120000[-99:XX]", "20090401120000[15:XX]", "20090401120000[+14.5:X]",
        "20090401120000[-14.01:X]", "20090401120000[", "99990401", "10660401", "²0090401",
        "٢٠٠٩٠٤٠١", "20090401x", "x20090401", "infinity", "1e9", "-20090401",
    ],
)  # fmt: skip
def test_nonsense_dates_are_faults_with_their_amount(text: str) -> None:
    fault = one(transaction(day=f"<DTPOSTED>{text}"))
    assert isinstance(fault, FaultyLine)
    assert fault.amount == "-12.34"
    assert fault.place == PLACE
    assert text in fault.reason


@PROVES
@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("-12.34", "-12.34"),
        ("+12.34", "12.34"),
        ("-12,34", "-12.34"),
        ("-00000000001500.0000", "-1500.0000"),
        ("-80", "-80"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1,234.56", "1234.56"),
        ("1.234,56", "1234.56"),
        ("1,234,567", "1234567"),
        ("1.234.567", "1234567"),
        ("1.234", "1.234"),
        ("1234,567", "1234.567"),
        ("12,3456", "12.3456"),
        ("0,000", "0"),
        ("12.34-", "-12.34"),
        (" 12.34 ", "12.34"),
    ],
)
def test_amounts(text: str, amount: str) -> None:
    line = one(transaction(amount=f"<TRNAMT>{text}"))
    assert isinstance(line, StatementLine)
    assert line.amount == amount


@PROVES
@pytest.mark.parametrize(
    "text",
    [
        "NaN", "sNaN", "Infinity", "-Infinity", "1e400", "1E5", "1_000", "0x10", "1.2.3", "1,2,3",
        "--5", "5 EUR", "$5", "١٢", "１２", "12.34.56", "1,23.4", "9" * 200,
        # 1234 or 1.234? OFX says the latter, and banks write the former.
        "1,234",
    ],
    ids=shortly,
)  # fmt: skip
def test_unreadable_amounts_are_faults_without_one(text: str) -> None:
    fault = one(transaction(amount=f"<TRNAMT>{text}"))
    assert isinstance(fault, FaultyLine)
    assert (fault.place, fault.amount) == (PLACE, None)
    assert text[:20] in fault.reason


@PROVES
@pytest.mark.parametrize(
    ("text", "reason", "amount"),
    [
        (transaction(day=""), "DTPOSTED is missing", "-12.34"),
        (transaction(day="<DTPOSTED></DTPOSTED>"), "DTPOSTED is missing", "-12.34"),
        (transaction(amount=""), "TRNAMT is missing", None),
        (transaction(amount="<TRNAMT/>"), "TRNAMT is missing", None),
        ("<STMTTRN></STMTTRN>", "TRNAMT is missing", None),
    ],
)
def test_missing_fields_are_faults(text: str, reason: str, amount: str | None) -> None:
    assert one(text) == FaultyLine(place=PLACE, reason=reason, amount=amount)


@PROVES
def test_good_lines_stand_beside_faulty_ones() -> None:
    found = items(ofx(statement(transaction(), transaction(day=""), transaction())))
    kinds = [StatementAccount, StatementLine, FaultyLine, StatementLine]
    assert [type(item) for item in found] == kinds


# --- balances ------------------------------------------------------------------------------------


@PROVES
def test_ledger_balance_is_observed_and_the_available_one_ignored() -> None:
    after = (
        "<LEDGERBAL><BALAMT>-10,50<DTASOF>20240131235959[+1:CET]</LEDGERBAL>"
        "<AVAILBAL><BALAMT>99<DTASOF>20240131</AVAILBAL>"
    )
    found = items(ofx(statement(after=after)))
    assert found[1:] == [
        StatementBalance(kind="observed", date=date(2024, 1, 31), amount="-10.50", place=PLACE)
    ]


@PROVES
@pytest.mark.parametrize(
    ("balance", "reason"),
    [
        ("<BALAMT>NaN<DTASOF>20240131", "NaN"),
        ("<BALAMT>5<DTASOF>20240231", "20240231"),
        ("<DTASOF>20240131", "BALAMT is missing"),
        ("<BALAMT>5", "DTASOF is missing"),
    ],
)
def test_unreadable_balance_is_a_fault_without_amount(balance: str, reason: str) -> None:
    found = items(ofx(statement(transaction(), after=f"<LEDGERBAL>{balance}</LEDGERBAL>")))
    fault = found[-1]
    assert isinstance(fault, FaultyLine)
    assert fault.amount is None
    assert fault.reason.startswith("balance: ")
    assert reason in fault.reason
    assert len(lines_of(found)) == 1


# --- shapes of files -----------------------------------------------------------------------------


@PROVES
def test_xml_with_everything_closed_and_indented() -> None:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<?OFX OFXHEADER="200"\n VERSION="211"?>\n'
        '<OFX xmlns="http://ofx.net">\n<!-- made > by\n hand <STMTTRN> -->\n<BANKMSGSRSV1>'
        "<STMTTRNRS><STMTRS><CURDEF>EUR</CURDEF><BANKACCTFROM>\n <ACCTID>1</ACCTID>\n"
        "</BANKACCTFROM><BANKTRANLIST>\n<STMTTRN\n>\n <DTPOSTED>20240101</DTPOSTED>\n"
        " <TRNAMT>1</TRNAMT>\n <NAME><![CDATA[A & <B> &amp; ]]>C</NAME>\n <MEMO />\n</STMTTRN>\n"
        "</BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"
    )
    (_, line) = items(text)
    assert isinstance(line, StatementLine)
    assert (line.counterparty, line.place) == ("A & <B> &amp; C", 10)


@PROVES
def test_closing_tags_may_be_missing_everywhere_but_at_the_end() -> None:
    text = ofx(statement(transaction(), transaction()), statement(transaction(amount="<TRNAMT>7")))
    for tag in ("STMTTRN", "BANKTRANLIST", "STMTRS", "STMTTRNRS", "BANKMSGSRSV1"):
        text = text.replace(f"</{tag}>", "")
    found = items(text)
    assert [line.amount for line in lines_of(found)] == ["-12.34", "-12.34", "7"]
    assert sum(isinstance(item, StatementAccount) for item in found) == 2


@PROVES
def test_unknown_elements_do_no_harm() -> None:
    odd = "<X.Y>1<EMPTY><DEEP><NAME>inner</DEEP><NAME>Shop</NAME></NONE>"
    line = one(transaction(rest=f"{odd}<FITID>f1<MEMO>bread"))
    assert isinstance(line, StatementLine)
    assert (line.counterparty, line.description, line.bank_id) == ("Shop", "bread", "f1")
    assert isinstance(line.raw, dict)
    assert line.raw["DEEP.NAME"] == "inner"


@PROVES
@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("A &amp; B", "A & B"),
        ("A & B &c;", "A & B &c;"),
        ("&lt;b&gt; &quot;&apos;", "<b> \"'"),
        ("&#233;&#xE9;", "éé"),
        ("&#0;&#xD800;&#x110000;&#9999999;", "&#0;&#xD800;&#x110000;&#9999999;"),
        ("&amp;lt;", "&lt;"),
        ("A < B > C", "A < B > C"),
        ("1<2", "1<2"),
        ("<3 <-- <!wow", "<3 <-- <!wow"),
        ("tag <not a tag", "tag <not a tag"),
        ("\u202e ﷽ 🏦 \u200b\ud7ff", "\u202e ﷽ 🏦 \u200b\ud7ff"),
        ("'; DROP TABLE x;--", "'; DROP TABLE x;--"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_text_comes_through(written: str, read: str) -> None:
    line = one(transaction(rest=f"<MEMO>{written}\n<FITID>f1"))
    assert isinstance(line, StatementLine)
    assert (line.description, line.bank_id) == (read, "f1")


@PROVES
@pytest.mark.parametrize(
    ("header", "encoding", "text"),
    [
        (HEADER, "cp1252", "Café €5 „ja“"),
        (HEADER.replace("USASCII", "UTF-8").replace("1252", "NONE"), "utf-8", "Café €5 日本"),
        # What the header says is wrong here.
        (HEADER, "utf-8", "Café €5 日本"),
        (HEADER.replace("USASCII", "UNICODE"), "utf-16", "Café €5 日本"),
        (HEADER.replace("1252", "ISO-8859-15"), "iso8859-15", "Café €5"),
        (HEADER.replace("1252", "8859-1"), "cp1252", "Café €5"),
        (HEADER.replace("1252", "1251"), "cp1251", "Магазин"),
        ('<?xml version="1.0" encoding="ISO-8859-2"?>', "iso8859-2", "Łódź"),
        ('<?xml version="1.0" encoding="utf-7"?>', "cp1252", "Café +AGE-"),
        ('<?xml version="1.0" encoding="nonsense"?>', "cp1252", "Café"),
        ("", "utf-8-sig", "Café 日本"),
    ],
)
def test_encodings(header: str, encoding: str, text: str) -> None:
    data = ofx(statement(transaction(rest=f"<MEMO>{text}")), header=header).encode(encoding)
    assert [line.description for line in lines_of(items(data))] == [text]


@PROVES
def test_two_files_in_one() -> None:
    other = ACCOUNT.replace("12~3", "77")
    both = ofx(statement(transaction())) + ofx(statement(transaction(), head=f"<CURDEF>EUR{other}"))
    assert [len(part) for part in parts(both)] == [2, 2]


# --- files that are refused ----------------------------------------------------------------------


@PROVES
@pytest.mark.parametrize("data", [b"", b"\n \r\n", b"\xef\xbb\xbf", "\n".encode("utf-16")])
def test_empty_file(data: bytes) -> None:
    with pytest.raises(StatementEmpty):
        items(data)


@PROVES
@pytest.mark.parametrize("inside", ["", "<SIGNONMSGSRSV1><SONRS></SONRS></SIGNONMSGSRSV1>"])
def test_file_without_a_statement(inside: str) -> None:
    with pytest.raises(StatementEmpty):
        items(f"{HEADER}<OFX>{inside}</OFX>")


ERROR = "<STATUS><CODE>2003<SEVERITY>ERROR<MESSAGE>Account not found</STATUS>"


@PROVES
def test_error_instead_of_a_statement_is_the_refusal() -> None:
    with pytest.raises(StatementRefused, match="2003: Account not found") as refused:
        items(ofx(f"<STMTTRNRS>\n{ERROR}</STMTTRNRS>"))
    assert refused.value.code == "STATEMENT_UNREADABLE"
    assert refused.value.details[0][0] == "line 9"


@PROVES
@pytest.mark.parametrize(
    "status",
    ["<CODE>0<SEVERITY>INFO", "<CODE>1<SEVERITY>INFO", "<CODE>2<SEVERITY>WARN", "<CODE>0", ""],
)
def test_a_status_that_is_no_error_says_nothing(status: str) -> None:
    with pytest.raises(StatementEmpty):
        items(ofx(f"<STATUS>{status}</STATUS>"))
    assert len(items(ofx(f"<STATUS>{status}</STATUS>", statement(transaction())))) == 2


@PROVES
def test_error_of_one_account_is_told_beside_the_others_lines() -> None:
    found = items(ofx(f"<STMTTRNRS>{ERROR}</STMTTRNRS>", statement(transaction())))
    assert [type(item) for item in found] == [StatementAccount, StatementLine, FaultyLine]
    assert "Account not found" in faults_of(found)[0].reason


WHOLE = ofx(statement(transaction(), transaction(), after="<LEDGERBAL><BALAMT>1<DTASOF>20240131"))


@PROVES
@pytest.mark.parametrize("length", range(len(HEADER) + 1, len(WHOLE) - 2, 13))
def test_file_that_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises(StatementRefused) as refused:
        items(WHOLE[:length])
    assert refused.value.code == "STATEMENT_UNREADABLE"
    assert refused.value.details[0][0].startswith("line ")


@PROVES
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("hello", "there is no <OFX>"),
        ("<html><body></body></html>", "<HTML> comes before <OFX>"),
        (ofx(statement()) + "<STMTTRN>", "<STMTTRN> stands outside <OFX>"),
        (f"<OFX>{transaction()}</OFX>", "a transaction outside any statement"),
        (ofx(statement(), transaction()), "a transaction outside any statement"),
        # A begin tag that was mangled must not make its transaction vanish.
        (ofx(statement(transaction().replace("<STMTTRN>", "<STXTTRN>"))), "an amount outside"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><OFX></OFX>', "declares a document type or entities"),
        ('<OFX><!entity b "c"></OFX>', "declares a document type or entities"),
        ("<OFX><![INCLUDE[x]]></OFX>", "declares a document type or entities"),
        ("<OFX>" + "<A>" * 200_000, "nest deeper than"),
        (ofx(statement()).replace("12~3", "12\0"), "NUL"),
        ("PK\x03\x04\x00\x00", "NUL"),
        ("\x00", "NUL"),
        ("<OFX\n" * 5, "no <OFX>"),
    ],
    ids=shortly,
)
def test_refused(data: str, reason: str) -> None:
    with pytest.raises(StatementRefused, match=reason):
        items(data)


@PROVES
@pytest.mark.parametrize(
    "data",
    [
        ofx(statement(transaction(rest="<MEMO>" + "x" * 10_000))),
        ofx(statement(transaction(rest="<A>1" * 600))),
        ofx(statement() * 10_001),
        "x" * 2_000_000,
        HEADER + "<OFX><!--" + "-\n" * 1_000_000,
        HEADER + "<OFX><A\n" + "a\n" * 10_000,
    ],
    ids=["text", "elements", "statements", "line", "comment", "tag"],
)
def test_too_large(data: str) -> None:
    with pytest.raises(StatementTooLarge):
        items(data)


@PROVES
def test_transactions_run_into_one_are_set_aside_not_lost() -> None:
    merged = transaction().replace("</STMTTRN>", "") + transaction().replace("<STMTTRN>", "")
    fault = one(merged)
    assert isinstance(fault, FaultyLine)
    assert fault.amount is None


@PROVES
def test_more_faults_than_sense_are_refused() -> None:
    with pytest.raises(StatementRefused, match="more than 10,000 lines cannot be read"):
        items(ofx(statement("<STMTTRN></STMTTRN>\n" * 10_001)))


SEEDS = [
    WHOLE.encode(),
    WHOLE.encode("utf-16"),
    ofx(statement(transaction(), head="", after=ACCOUNT), f"<X>{ERROR}</X>").encode(),
    b"<?xml?><OFX><STMTRS><STMTTRN><NAME><![CDATA[a]]></NAME></STMTTRN><!-- --></STMTRS></OFX>",
]
PIECES = st.one_of(
    st.binary(max_size=6),
    st.sampled_from(
        [
            b"<", b">", b"</", b"<STMTTRN>", b"</STMTTRN>", b"<STMTRS>", b"</STMTRS>", b"<OFX>",
            b"</OFX>", b"<A>", b"</A>", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"&#", b"&amp;",
            b"<CURDEF>", b"<STATUS>", b"<TRNAMT>1e5", b"<DTPOSTED>[", b"\r", b"\n", b"\xff\xfe",
        ]
    ),
)  # fmt: skip


@PROVES
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), PIECES), max_size=6),
)
def test_mutated_files_are_read_or_refused(
    seed: bytes, edits: list[tuple[float, int, bytes]]
) -> None:
    for at, cut, piece in edits:
        start = int(at * len(seed))
        seed = seed[:start] + piece + seed[start + cut :]
    OFX.recognises(seed, "x")
    try:
        found = items(seed)
    except StatementRefused as refused:
        assert refused.details
        return
    assert isinstance(found[0], StatementAccount)
    json.dumps([line.raw for line in lines_of(found)])


# --- hostile input -------------------------------------------------------------------------------

CHILD = """
import resource, sys
from finora_core.plugins import StatementRefused
from finora_core.records.formats.ofx import OfxStatements
file = open(sys.argv[1], "rb")
most = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + (64 << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
resource.setrlimit(resource.RLIMIT_CPU, (int(used) + int(sys.argv[2]),) * 2)
try:
    OfxStatements().recognises(file.read(65536), "x")
    file.seek(0)
    print(sum(1 for _ in OfxStatements().read(file, {})), "items")
except StatementRefused as refused:
    print(refused.code, refused)
"""

START = WHOLE.partition("<STMTTRN>")[0]


def bomb() -> str:
    layers = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 12))
    return f"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY l0 'lol'>{layers}]><OFX>&l11;</OFX>"


HOSTILE: dict[str, tuple[Callable[[], str | bytes], str]] = {
    "200,000 unclosed tags": (lambda: START + "<A>" * 200_000, "STATEMENT_UNREADABLE"),
    "200,000 unclosed transactions": (
        lambda: START + "<STMTTRN>\n" * 200_000,
        "STATEMENT_UNREADABLE",
    ),
    "200,000 unclosed leaves": (
        lambda: START + "<STMTTRN>" + "<NAME>x\n" * 200_000,
        "STATEMENT_TOO_LARGE",
    ),
    "50 MB of bytes": (lambda: b"\x9a\x12<" * 17_000_000, "STATEMENT_TOO_LARGE"),
    "50 MB of text": (lambda: "lorem ipsum\n" * 4_000_000, "STATEMENT_TOO_LARGE"),
    "10 MB of line ends": (lambda: "\n" * 10_000_000, "STATEMENT_TOO_LARGE"),
    "5 MB of closing tags": (
        lambda: START + "<A>" * 20 + "</B>\n" * 1_000_000,
        "STATEMENT_TOO_LARGE",
    ),
    "10 MB of half tags": (lambda: START + "<A\n" * 3_500_000, "STATEMENT_TOO_LARGE"),
    "10 MB of comment": (lambda: START + "<!--" + "\n<!-" * 2_500_000, "STATEMENT_TOO_LARGE"),
    "10 MB of CDATA": (lambda: START + "<NAME><![CDATA[" + "a\n" * 5_000_000, "TOO_LARGE"),
    "10 MB of faults": (lambda: START + "<STMTTRN></STMTTRN>\n" * 500_000, "UNREADABLE"),
    "10 MB in one line": (lambda: START + transaction().strip() * 100_000, "STATEMENT_TOO_LARGE"),
    "an entity bomb": (bomb, "STATEMENT_UNREADABLE"),
    "a million entities": (
        lambda: START + transaction(rest="<MEMO>" + "&amp;" * 1_000_000),
        "STATEMENT_TOO_LARGE",
    ),
    # Statements without a head make it look ahead: once, not once a statement.
    "3,000 statements without a head": (
        lambda: ofx(statement(transaction(), head="") * 3_000),
        "6000 items",
    ),
    "cut off": (lambda: START + transaction() * 10_000, "STATEMENT_UNREADABLE"),
    "empty": (lambda: "", "STATEMENT_EMPTY"),
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
    path = tmp_path / "large.ofx"
    path.write_text(ofx(statement(transaction().replace("<", "\n<") * 20_000)))
    assert under_limits(path, seconds=20) == "20001 items\n"
