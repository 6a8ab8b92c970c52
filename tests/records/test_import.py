"""Importing: what is added, what was there, what is claimed, what is refused, in whatever order."""

import io
import itertools
from collections import Counter
from datetime import date
from functools import partial
from typing import Any

import attrs
import pytest
from sqlalchemy import Engine
from sqlalchemy import text as sql

from finora import (
    Amount,
    Finora,
    ImportRequest,
    Job,
    NewRecord,
    RecordChange,
    RecordFilter,
    Refusal,
    Scope,
    currency,
)
from finora_core.records.model import merchant_key
from together import together

EUR = currency("EUR")
IBAN = "DE89370400440532013000"


def bring(
    finora: Finora, scope: Scope, text: str, name: str, request: ImportRequest | None = None
) -> dict[str, Any]:
    """Import a text that must not be refused."""
    result = finora.import_file(scope, io.BytesIO(text.encode()), request, name=name)
    assert not isinstance(result, Job), (result.reason, result.message, name)
    return dict(result)


def refused(
    finora: Finora, scope: Scope, data: bytes, name: str, request: ImportRequest | None = None
) -> Job:
    """Import bytes that must be refused."""
    result = finora.import_file(scope, io.BytesIO(data), request, name=name)
    assert isinstance(result, Job), result
    assert result.state == "refused", (result.reason, result.message)
    return result


def counts(result: dict[str, Any]) -> tuple[int, int, int, int]:
    said = result["added"], result["existing"], result["claimed"], result["set_aside_count"]
    assert sum(said) == result["read"]
    return said


def books(finora: Finora, scope: Scope) -> tuple[Counter[object], dict[str, str]]:
    """What must not depend on the order of imports: records, and balances by account name."""
    records = finora.records.list(scope, limit=1000).items
    lines = Counter(
        (r.on_date, r.amount.text, r.description, r.counterparty, r.bank_id, r.account,
         str(r.bank_state)) for r in records
    )  # fmt: skip
    balances = {
        balance.account.name: balance.amount.text for balance in finora.ledger.balances(scope)
    }
    return lines, balances


def ofx(*lines: tuple[str, str, str, str], balance: tuple[str, str] | None = None) -> str:
    """(date, amount, FITID, name) as an OFX file of the test account."""
    body = "".join(
        f"<STMTTRN><TRNTYPE>OTHER<DTPOSTED>{day}<TRNAMT>{amount}<FITID>{fitid}<NAME>{name}"
        "</STMTTRN>\n"
        for day, amount, fitid, name in lines
    )
    ledger = f"<LEDGERBAL><BALAMT>{balance[0]}<DTASOF>{balance[1]}</LEDGERBAL>" if balance else ""
    return (
        "OFXHEADER:100\nDATA:OFXSGML\nVERSION:102\nENCODING:UTF-8\nCHARSET:NONE\n\n"
        "<OFX><BANKMSGSRSV1><STMTTRNRS><TRNUID>1<STMTRS><CURDEF>EUR"
        f"<BANKACCTFROM><BANKID>1<ACCTID>{IBAN}<ACCTTYPE>CHECKING</BANKACCTFROM>"
        f"<BANKTRANLIST>{body}</BANKTRANLIST>{ledger}"
        "</STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>\n"
    )


def csv(*lines: tuple[str, str, str]) -> str:
    body = "".join(f"{day},{amount},{text}\n" for day, amount, text in lines)
    return f"Date,Amount,Description\n{body}"


def mt940(opening: str, closing: str, *lines: tuple[str, str, str]) -> str:
    body = "".join(f":61:{day}{amount}NTRFNONREF\n:86:{text}\n" for day, amount, text in lines)
    return f":20:X\n:25:{IBAN}\n:28C:1/1\n:60F:{opening}\n{body}:62F:{closing}\n-\n"


def camt(version: str, *entries: tuple[str, str, str, str], ref: str | None = None) -> str:
    """(date, amount, state, text); version 053 books, 052 announces."""
    tag = "Stmt" if version == "053" else "Rpt"
    root = "BkToCstmrStmt" if version == "053" else "BkToCstmrAcctRpt"
    id_ = f"<AcctSvcrRef>{ref}</AcctSvcrRef>" if ref else ""
    body = "".join(
        f'<Ntry><Amt Ccy="EUR">{amount.lstrip("-")}</Amt>'
        f"<CdtDbtInd>{'DBIT' if amount.startswith('-') else 'CRDT'}</CdtDbtInd><Sts>{state}</Sts>"
        f"<BookgDt><Dt>{day}</Dt></BookgDt>{id_}<NtryDtls><TxDtls><RmtInf><Ustrd>{text}</Ustrd>"
        "</RmtInf></TxDtls></NtryDtls></Ntry>"
        for day, amount, state, text in entries
    )
    return (
        f'<?xml version="1.0"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.{version}'
        f'.001.02"><{root}><GrpHdr><MsgId>1</MsgId><CreDtTm>2026-01-31T00:00:00</CreDtTm></GrpHdr>'
        f"<{tag}><Id>1</Id><Acct><Id><IBAN>{IBAN}</IBAN></Id><Ccy>EUR</Ccy></Acct>{body}</{tag}>"
        f"</{root}></Document>"
    )


CASH = ImportRequest(account="Giro", currency="EUR")
GIRO = ImportRequest(account=IBAN)


@pytest.mark.spec("S2-24")
def test_an_account_has_its_balance_and_its_records(finora: Finora, scope: Scope) -> None:
    """A statement opens its account, whose balance is what the bank stated."""
    text = ofx(("20260110", "-3.50", "a", "CAFE"), balance=("96.50", "20260131"))
    result = bring(finora, scope, text, "a.ofx")
    assert result["accounts"][0]["opened"]
    [account] = [a for a in finora.ledger.accounts(scope) if a.name == IBAN]
    [balance] = finora.ledger.balances(scope, account.id)
    assert balance.amount == Amount.parse("96.50", EUR)
    [record] = finora.records.list(scope, RecordFilter(account_id=account.id)).items
    assert (record.amount.text, record.direction, record.bank_id) == ("-3.50", "out", "a")


@pytest.mark.spec("S3-11", partial=True)
@pytest.mark.invariant("I-54")
def test_the_same_file_again_adds_nothing(finora: Finora, scope: Scope) -> None:
    text = csv(("2026-01-01", "-1.00", "a"), ("2026-01-02", "2.00", "b"))
    assert counts(bring(finora, scope, text, "a.csv", CASH)) == (2, 0, 0, 0)
    assert counts(bring(finora, scope, text, "a.csv", CASH)) == (0, 2, 0, 0)


@pytest.mark.invariant("I-54")
def test_two_equal_purchases_stay_two_and_an_overlap_adds_none(
    finora: Finora, scope: Scope
) -> None:
    """The larger count of any one file holds."""
    coffee = ("2026-01-01", "-2.50", "COFFEE")
    assert counts(bring(finora, scope, csv(coffee, coffee), "a.csv", CASH)) == (2, 0, 0, 0)
    assert counts(bring(finora, scope, csv(coffee), "b.csv", CASH)) == (0, 1, 0, 0)
    assert counts(bring(finora, scope, csv(*[coffee] * 3), "c.csv", CASH)) == (1, 2, 0, 0)


def test_a_bank_id_twice_in_a_file_is_one_line(finora: Finora, scope: Scope) -> None:
    line = ("20260110", "-3.50", "a", "CAFE")
    assert counts(bring(finora, scope, ofx(line, line), "a.ofx")) == (1, 1, 0, 0)


def test_a_bank_id_used_again_for_another_sum_is_another_line(finora: Finora, scope: Scope) -> None:
    text = ofx(("20260110", "-3.50", "a", "CAFE"), ("20260110", "-4.50", "a", "CAFE"))
    assert counts(bring(finora, scope, text, "a.ofx")) == (2, 0, 0, 0)


def test_another_format_claims_as_many_as_both_have(finora: Finora, scope: Scope) -> None:
    """Two coffees in one format and three in the other are three."""
    two = [("20260110", "-2.50", "a", "CAFE"), ("20260110", "-2.50", "b", "CAFE")]
    three = [("2026-01-10", "-2.50", "Kaffee")] * 3
    assert counts(bring(finora, scope, ofx(*two), "a.ofx")) == (2, 0, 0, 0)
    assert counts(bring(finora, scope, csv(*three), "a.csv", GIRO)) == (1, 0, 2, 0)
    assert counts(bring(finora, scope, csv(*three), "a.csv", GIRO)) == (0, 3, 0, 0)
    assert counts(bring(finora, scope, ofx(*two), "a.ofx")) == (0, 2, 0, 0)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_the_order_of_files_makes_no_difference(
    finora: Finora, scope: Scope, order: tuple[int, ...]
) -> None:
    """Overlapping months in four formats give the same records and balances, whatever the order."""
    files = [
        ("jan.ofx", ofx(("20260105", "-10.00", "1", "SHOP 12"), ("20260120", "-2.50", "2", "CAFE"),
                        ("20260120", "-2.50", "3", "CAFE"), balance=("985.00", "20260131"))),
        ("feb.sta", mt940("C260120EUR990,00", "C260210EUR935,00", ("260120", "D2,50", "CAFE X"),
                          ("260120", "D2,50", "CAFE Y"), ("260210", "D50,00", "RENT"))),
        ("q1.csv", csv(("2026-01-20", "-2.50", "cafe"), ("2026-02-10", "-50.00", "rent"),
                       ("2026-03-01", "1000.00", "Salary"))),
        ("mar.xml", camt("053", ("2026-03-01", "1000.00", "BOOK", "ACME Salary March"))),
    ]  # fmt: skip
    account = finora.ledger.open_account(scope, IBAN, asset="EUR")
    for index in order:
        name, text = files[index]
        bring(finora, scope, text, name, ImportRequest(account=str(account.id)))
    lines, balances = books(finora, scope)
    assert balances[IBAN] == "1935.00"
    assert lines == Counter({
        (date(2026, 1, 5), "-10.00", "SHOP 12", "SHOP 12", "1", IBAN, "booked"): 1,
        (date(2026, 1, 20), "-2.50", "CAFE", "CAFE", "2", IBAN, "booked"): 1,
        (date(2026, 1, 20), "-2.50", "CAFE", "CAFE", "3", IBAN, "booked"): 1,
        (date(2026, 2, 10), "-50.00", "RENT", None, None, IBAN, "booked"): 1,
        (date(2026, 3, 1), "1000.00", "ACME Salary March", None, None, IBAN, "booked"): 1,
    })  # fmt: skip


@pytest.mark.parametrize("later_first", [False, True])
def test_a_pending_line_booked_later_is_one_line(
    finora: Finora, scope: Scope, later_first: bool
) -> None:
    """It posts nothing while pending, and is claimed by its booking three days later."""
    files = [
        camt("052", ("2026-01-10", "-9.99", "PDNG", "STREAMING GMBH 7781")),
        camt("053", ("2026-01-13", "-9.99", "BOOK", "STREAMING GMBH 9934")),
    ]
    if later_first:
        files.reverse()
    first = bring(finora, scope, files[0], "a.xml")
    if not later_first:
        assert finora.ledger.trial_balance(scope).lines == ()
    second = bring(finora, scope, files[1], "b.xml")
    assert (first["added"], second["claimed"], second["added"]) == (1, 1, 0)
    [record] = finora.records.list(scope).items
    assert (record.bank_state, record.on_date) == ("booked", date(2026, 1, 13))
    assert finora.wallet.summary(scope).balances == (Amount.parse("-9.99", EUR),)
    for text in files:
        assert counts(bring(finora, scope, text, "again.xml")) == (0, 1, 0, 0)


def test_a_pending_file_does_not_make_its_booked_lines_claim_others(
    finora: Finora, scope: Scope
) -> None:
    """Another purchase of the same day and sum stays another one."""
    bring(finora, scope, camt("053", ("2026-01-10", "-5.00", "BOOK", "BAKERY")), "a.xml")
    text = camt("052", ("2026-01-10", "-5.00", "BOOK", "KIOSK"),
                ("2026-01-11", "-7.00", "PDNG", "CINEMA"))  # fmt: skip
    assert counts(bring(finora, scope, text, "b.xml")) == (2, 0, 0, 0)


@pytest.mark.spec("S2-27", partial=True)
def test_a_line_that_cannot_be_read_is_set_aside(finora: Finora, scope: Scope) -> None:
    """With its number and reason; the good lines are imported."""
    text = csv(("2026-01-13", "-1.00", "a"), ("2026-02-30", "-2.00", "b"), ("2026-01-15", "x", "c"))
    result = bring(finora, scope, text, "a.csv", CASH)
    assert counts(result) == (1, 0, 0, 2)
    assert [each["place"] for each in result["set_aside"]] == [3, 4]


def test_a_wrong_control_sum_is_refused_whole(finora: Finora, scope: Scope) -> None:
    """The difference is named; nothing is written; a caller may accept it, which is kept."""
    text = mt940("C260101EUR100,00", "C260131EUR95,00", ("260110", "D4,00", "CAFE"))
    job = refused(finora, scope, text.encode(), "a.sta")
    assert job.reason == "CONTROL_SUM" and "-1.00 EUR" in str(job.message)
    assert finora.records.list(scope).items == () and finora.ledger.accounts(scope) == []
    result = bring(finora, scope, text, "a.sta", ImportRequest(accept_difference=True))
    assert "-1.00 EUR" in result["accepted_difference"]


def test_a_set_aside_line_counts_for_the_control_sum(finora: Finora, scope: Scope) -> None:
    """Its date is nonsense, its amount is not."""
    text = mt940("C260101EUR100,00", "C260131EUR96,00", ("260230", "D4,00", "CAFE"))
    assert counts(bring(finora, scope, text, "a.sta")) == (0, 0, 0, 1)


def test_the_opening_is_replaced_when_earlier_lines_arrive(finora: Finora, scope: Scope) -> None:
    """By reversal; the stated balance holds before and after."""
    february = mt940("C260201EUR100,00", "C260228EUR90,00", ("260210", "D10,00", "RENT"))
    january = mt940("C260101EUR130,00", "C260131EUR100,00", ("260115", "D30,00", "FOOD"))
    for text in (february, january, february):
        bring(finora, scope, text, "a.sta")
        assert finora.wallet.summary(scope).balances == (Amount.parse("90.00", EUR),)
    causes = Counter(entry.cause for entry in finora.ledger.entries(scope))
    assert causes == {"record": 2, "opening": 3}


def test_a_missing_statement_shows_as_a_difference(finora: Finora, scope: Scope) -> None:
    """January and March are there, February is not."""
    bring(finora, scope, mt940("C260101EUR100,00", "C260131EUR90,00", ("260115", "D10,00", "A")),
          "jan.sta")  # fmt: skip
    march = mt940("C260301EUR70,00", "C260331EUR65,00", ("260315", "D5,00", "B"))
    [difference] = bring(finora, scope, march, "mar.sta")["differences"]
    stated, booked = difference["stated"]["amount"], difference["booked"]["amount"]
    assert (stated, booked) == ("65.00", "85.00")


def test_a_file_that_names_no_account_needs_one(finora: Finora, scope: Scope) -> None:
    text = csv(("2026-01-13", "-1.00", "a"))
    assert refused(finora, scope, text.encode(), "a.csv").reason == "ACCOUNT_NEEDED"
    request = ImportRequest(account="Giro")
    assert refused(finora, scope, text.encode(), "a.csv", request).reason == "CURRENCY_NEEDED"
    bring(finora, scope, text, "a.csv", CASH)
    again = bring(finora, scope, csv(("2026-01-14", "-2.00", "b")), "b.csv")
    assert counts(again) == (1, 0, 0, 0), "the layout's account is kept"


def test_an_ambiguous_file_is_asked_about_once(finora: Finora, scope: Scope) -> None:
    """The answer is kept for the bank's layout and answers next time."""
    text = "Date,Amount,Description\n03/04/2026,-1.00,a\n"
    assert refused(finora, scope, text.encode(), "a.csv", CASH).reason == "STATEMENT_AMBIGUOUS"
    answer = ImportRequest(account="Giro", currency="EUR", answers={"date_order": "dmy"})
    bring(finora, scope, text, "a.csv", answer)
    bring(finora, scope, "Date,Amount,Description\n05/06/2026,-1.00,b\n", "b.csv")
    days = [record.on_date for record in finora.records.list(scope).items]
    assert days == [date(2026, 6, 5), date(2026, 4, 3)]


def test_a_file_of_another_account_is_refused(finora: Finora, scope: Scope) -> None:
    bring(finora, scope, ofx(("20260110", "-3.50", "a", "CAFE")), "a.ofx")
    other = finora.ledger.open_account(scope, "Savings", asset="EUR")
    text = ofx(("20260111", "-3.50", "b", "CAFE"))
    request = ImportRequest(account=str(other.id))
    job = refused(finora, scope, text.encode(), "b.ofx", request)
    assert job.reason == "ACCOUNT_MISMATCH"


def test_another_tenant_imports_the_same_file_for_itself(
    finora: Finora, scope: Scope, stranger: Scope
) -> None:
    text = ofx(("20260110", "-3.50", "a", "CAFE"))
    for each in (scope, stranger):
        assert counts(bring(finora, each, text, "a.ofx")) == (1, 0, 0, 0)
        assert len(finora.records.list(each).items) == 1


@pytest.mark.spec("S2-21", partial=True)
def test_a_transfer_between_own_accounts_is_neither_income_nor_spending(
    finora: Finora, scope: Scope
) -> None:
    """Both ends are labelled when the second arrives; the wallet sees no flow."""
    saving = ImportRequest(account="Savings", currency="EUR")
    bring(finora, scope, csv(("2026-01-10", "-500.00", "Transfer to savings")), "a.csv", CASH)
    bring(finora, scope, csv(("2026-01-11", "500.00", "From giro")), "b.csv", saving)
    summary = finora.wallet.summary(scope, today=date(2026, 1, 31))
    assert summary.flows == ()
    assert finora.wallet.networth(scope, 1, today=date(2026, 1, 31))[0].amounts == ()


def test_two_candidates_for_a_transfer_are_left_alone(finora: Finora, scope: Scope) -> None:
    saving = ImportRequest(account="Savings", currency="EUR")
    bring(finora, scope, csv(("2026-01-10", "-500.00", "Transfer to savings")), "a.csv", CASH)
    text = csv(("2026-01-11", "500.00", "Transfer A"), ("2026-01-11", "500.00", "Transfer B"))
    bring(finora, scope, text, "b.csv", saving)
    [flows] = finora.wallet.summary(scope, today=date(2026, 1, 31)).flows
    assert (flows.income.text, flows.expense.text) == ("1000.00", "-500.00")


@pytest.mark.spec("S3-17")
@pytest.mark.parametrize(("text", "key"), [
    ("STARBUCKS #1234 Seattle 12/03", "STARBUCKS SEATTLE"),
    ("Amzn Mktp US*2K4LM81", "AMZN MKTP"),
    ("  rewe   markt gmbh ", "REWE MARKT GMBH"),
    ("12345", "12345"),
])  # fmt: skip
def test_a_merchant_key_keeps_what_stays_the_same(text: str, key: str) -> None:
    assert merchant_key(text) == key


def test_what_a_person_changed_still_counts_as_already_there(finora: Finora, scope: Scope) -> None:
    """An edited and a deleted record are not brought back by their file, nor by another format."""
    text = ofx(("20260110", "-3.50", "a", "CAFE"), ("20260112", "-8.00", "b", "SHOP"))
    bring(finora, scope, text, "a.ofx")
    shop, cafe = finora.records.list(scope).items
    finora.records.change(scope, cafe.id, RecordChange(amount=Amount.parse("-3.75", EUR)))
    finora.records.delete(scope, shop.id)
    assert counts(bring(finora, scope, text, "a.ofx")) == (0, 2, 0, 0)
    other = csv(("2026-01-10", "-3.50", "cafe"), ("2026-01-12", "-8.00", "shop"))
    assert counts(bring(finora, scope, other, "a.csv", GIRO)) == (0, 0, 2, 0)
    [left] = finora.records.list(scope).items
    assert (left.id, left.amount.text, left.description) == (cafe.id, "-3.75", "CAFE")


def test_a_record_entered_by_hand_is_claimed_by_its_statement(finora: Finora, scope: Scope) -> None:
    account = finora.ledger.open_account(scope, IBAN, asset="EUR")
    new = NewRecord(
        account_id=account.id, on_date=date(2026, 1, 10), amount=Amount.parse("-3.50", EUR),
        description="coffee with Ana",
    )  # fmt: skip
    finora.records.create(scope, new)
    text = ofx(("20260110", "-3.50", "a", "CAFE"))
    result = bring(finora, scope, text, "a.ofx", ImportRequest(account=IBAN))
    assert counts(result) == (0, 0, 1, 0)
    [record] = finora.records.list(scope).items
    assert record.description == "coffee with Ana"


@pytest.mark.spec("S0-34")
def test_a_preview_says_what_a_file_holds_and_writes_nothing(finora: Finora, scope: Scope) -> None:
    """Format, account, lines, what would be set aside, and how far the control sum is off."""
    text = mt940("C260101EUR100,00", "C260131EUR95,00", ("260110", "D4,00", "CAFE"),
                 ("260230", "D3,00", "GHOST"))  # fmt: skip
    preview = finora.imports.preview(scope, io.BytesIO(text.encode()), "a.sta")
    [line] = preview.lines
    assert (line.amount.text, line.description, line.on_date) == (
        "-4.00",
        "CAFE",
        date(2026, 1, 10),
    )
    assert (preview.format, preview.read, preview.set_aside_count) == ("mt940", 2, 1)
    assert preview.accounts[0].number == IBAN and "2.00 EUR" in str(preview.difference)
    assert finora.ledger.accounts(scope) == [] and finora.jobs.list(scope).items == ()
    with pytest.raises(Refusal) as refusal:
        finora.imports.preview(scope, io.BytesIO(b"x" * (5 << 20)), "a.csv")
    assert refusal.value.code == "STATEMENT_TOO_LARGE"


@pytest.mark.spec("S3-10")
@pytest.mark.spec("S2-27", partial=True)
@pytest.mark.spec("S2-28", partial=True)
def test_a_submitted_file_is_imported_by_whoever_runs_jobs(
    finora: Finora, scope: Scope, admin: Engine
) -> None:
    """The file is kept and a job on records:ingest is written; the job writes the records and
    the event that they were ingested."""
    text = csv(("2026-01-13", "-1.00", "a"))
    _, job_id = finora.imports.submit(scope, io.BytesIO(text.encode()), "a.csv", CASH)
    job = finora.jobs.get(scope, job_id)
    assert (job.state, job.queue) == ("waiting", "records:ingest")
    assert finora.records.list(scope).items == ()
    finora.run_jobs()
    assert finora.jobs.get(scope, job_id).result["added"] == 1  # type: ignore[index]  # it is done
    assert len(finora.records.list(scope).items) == 1
    with admin.connect() as connection:
        query = sql("select type from finora.event where tenant_id = :t order by tx, id")
        types = connection.scalars(query, {"t": scope.tenant_id}).all()
    assert types[0] == "import.requested" and "records.ingested" in types


def test_a_file_larger_than_the_limit_is_refused_before_it_is_read(finora: Finora) -> None:
    service = attrs.evolve(finora.imports, max_bytes=10, max_lines=1)
    scope = finora.scope(tenant="limits", user="u1")
    with pytest.raises(Refusal) as refusal:
        service.submit(scope, io.BytesIO(b"x" * 11), "a.csv")
    assert refusal.value.code == "STATEMENT_TOO_LARGE"


def test_imports_that_open_one_account_at_once_all_come_in(finora: Finora, scope: Scope) -> None:
    request = ImportRequest(account="New", currency="EUR")
    texts = [f"Date,Amount,Description\n2026-01-{day:02},-1.00,a\n" for day in range(1, 5)]
    acts = [partial(bring, finora, scope, text, "a.csv", request) for text in texts]
    assert [result["added"] for result in together(*acts)] == [1, 1, 1, 1]
    assert len([a for a in finora.ledger.accounts(scope) if a.name == "New"]) == 1
