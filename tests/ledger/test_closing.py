"""A closed period: nothing in it is booked, labelled or reversed; what comes late is booked on the
first open day and keeps the bank's."""

import io
from datetime import date
from uuid import UUID

import pytest

from finora import (
    Account,
    AccountKind,
    Amount,
    Entry,
    Finora,
    ImportRequest,
    Job,
    NewRecord,
    Posting,
    RecordChange,
    RecordFilter,
    Scope,
    currency,
)
from finora_core.categories.rules.actions import actions_of
from finora_core.categories.rules.conditions import condition_of
from finora_core.categories.rules.model import Rule, RuleRun, RunFilter
from finora_core.kernel.ids import new_id
from finora_core.ledger.closing.model import BadClosing
from finora_core.ledger.model import PeriodClosed
from finora_core.records.model import Part
from together import errors, together

EUR = currency("EUR")
JAN = date(2025, 1, 31)
OPEN = date(2025, 2, 1)


def euros(text: str) -> Amount:
    return Amount.parse(text, EUR)


def ofx(*lines: tuple[str, str, str], ledger: str | None = None, on: str = "20250228") -> bytes:
    rows = "".join(
        f"<STMTTRN><TRNTYPE>OTHER<DTPOSTED>{day}<TRNAMT>{amount}<FITID>{fitid}<NAME>{fitid}"
        "</STMTTRN>"
        for fitid, day, amount in lines
    )
    balance = f"<LEDGERBAL><BALAMT>{ledger}<DTASOF>{on}</LEDGERBAL>" if ledger else ""
    return (
        "OFXHEADER:100\nDATA:OFXSGML\nVERSION:102\nSECURITY:NONE\nENCODING:USASCII\nCHARSET:1252\n"
        "COMPRESSION:NONE\nOLDFILEUID:NONE\nNEWFILEUID:NONE\n\n<OFX><BANKMSGSRSV1><STMTTRNRS>"
        "<TRNUID>1<STATUS><CODE>0<SEVERITY>INFO</STATUS><STMTRS><CURDEF>EUR<BANKACCTFROM>"
        "<BANKID>1<ACCTID>DE1<ACCTTYPE>CHECKING</BANKACCTFROM><BANKTRANLIST><DTSTART>20250101"
        f"<DTEND>20250228{rows}</BANKTRANLIST>{balance}</STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>\n"
    ).encode()


@pytest.fixture
def giro(finora: Finora, scope: Scope) -> UUID:
    return finora.ledger.open_account(scope, "Giro", AccountKind.ASSET, asset="EUR").id


def record(finora: Finora, scope: Scope, account: UUID, day: date, amount: str) -> UUID:
    new = NewRecord(account_id=account, on_date=day, amount=euros(amount), description=f"x {day}")
    return finora.records.create(scope, new).id


@pytest.mark.invariant("I-14")
@pytest.mark.spec("S3-34", partial=True)
def test_nothing_changes_in_a_closed_period_by_whatever_way(
    finora: Finora, scope: Scope, giro: UUID
) -> None:
    inside = record(finora, scope, giro, date(2025, 1, 10), "-5.00")
    after = record(finora, scope, giro, date(2025, 2, 10), "-7.00")
    entry = finora.records.get(scope, inside).entry_id
    assert entry is not None
    finora.closings.close(scope, JAN)
    other = finora.ledger.open_account(scope, "Savings", AccountKind.ASSET).id
    legs = (Posting(giro, euros("-1.00")), Posting(other, euros("1.00")))
    acts = {
        "post": lambda: finora.ledger.post(scope, legs, on_date=JAN),
        "reverse": lambda: finora.ledger.reverse(scope, entry),
        "create": lambda: record(finora, scope, giro, date(2025, 1, 1), "1.00"),
        "amount": lambda: finora.records.change(scope, inside, RecordChange(amount=euros("-6.00"))),
        "date": lambda: finora.records.change(scope, after, RecordChange(on_date=JAN)),
        "delete": lambda: finora.records.delete(scope, inside),
        "categorise": lambda: finora.records.categorise(scope, inside, "Food"),
        "split": lambda: finora.records.split(
            scope, inside, [Part("A", euros("-2.00")), Part("B", euros("-3.00"))]
        ),
        "link": lambda: finora.records.link_transfer(
            scope, inside, record(finora, scope, other, OPEN, "5.00")
        ),
    }
    for name, act in acts.items():
        with pytest.raises(PeriodClosed, match="2025-01-31") as refused:
            act()
        assert refused.value.facts == {"closed_through": "2025-01-31"}, name
    # After it everything goes on, and words are no figures.
    finora.records.categorise(scope, after, "Food")
    finora.records.change(scope, inside, RecordChange(description="what it was"))
    assert finora.records.get(scope, inside).description == "what it was"


def test_days_are_closed_in_order_and_opened_with_a_reason(finora: Finora, scope: Scope) -> None:
    with pytest.raises(BadClosing, match="nothing is closed"):
        finora.closings.reopen(scope, None, "why")
    with pytest.raises(BadClosing, match="not over"):
        finora.closings.close(scope, date(2999, 1, 1))
    assert finora.closings.close(scope, JAN).number == 1
    with pytest.raises(BadClosing, match="already"):
        finora.closings.close(scope, JAN)
    assert finora.closings.close(scope, date(2025, 2, 28)).number == 2
    with pytest.raises(BadClosing, match="say why"):
        finora.closings.reopen(scope, JAN, "  ")
    with pytest.raises(BadClosing, match="only"):
        finora.closings.reopen(scope, date(2025, 3, 1), "why")
    finora.closings.reopen(scope, JAN, "the bank was late")
    finora.closings.reopen(scope, None, "all of it")
    found = finora.closings.list(scope)
    assert [(each.number, each.through, each.reason) for each in found] == [
        (4, None, "all of it"), (3, JAN, "the bank was late"), (2, date(2025, 2, 28), ""),
        (1, JAN, ""),
    ]  # fmt: skip
    finora.run_jobs()  # Seals, too.
    assert all(each.seal for each in finora.closings.list(scope))
    types = [each.type for each in finora.audit.events(scope).items]
    assert [kind for kind in types if kind.startswith("period.")] == [
        "period.closed", "period.closed", "period.reopened", "period.reopened",
    ]  # fmt: skip


def test_another_tenant_is_not_closed(finora: Finora, scope: Scope, stranger: Scope) -> None:
    finora.closings.close(scope, JAN)
    theirs = finora.ledger.open_account(stranger, "Giro", AccountKind.ASSET).id
    record(finora, stranger, theirs, JAN, "1.00")
    assert finora.closings.list(stranger) == []


def imported(finora: Finora, scope: Scope, content: bytes) -> None:
    result = finora.import_file(scope, io.BytesIO(content), name="giro.ofx")
    assert not isinstance(result, Job), result


def balances(finora: Finora, scope: Scope) -> dict[str, str]:
    return {
        day: line.amount.text
        for day in ("2025-01-31", "2025-02-01", "2025-02-28")
        for line in finora.ledger.balance_sheet(scope, on=date.fromisoformat(day)).assets
    }


@pytest.mark.invariant("I-14")
def test_a_late_line_is_booked_on_the_first_open_day_and_is_listed(
    finora: Finora, scope: Scope
) -> None:
    imported(finora, scope, ofx(("a", "20250110", "-10.00"), ledger="100.00", on="20250131"))
    finora.closings.close(scope, JAN)
    late = ofx(
        ("a", "20250110", "-10.00"), ("b", "20250120", "-25.00"), ("c", "20250205", "-1.00"),
        ledger="99.00",
    )  # fmt: skip
    imported(finora, scope, late)
    # The bank's balance of January had the late line in it: what it opened with was more.
    assert balances(finora, scope) == {
        "2025-01-31": "100.00", "2025-02-01": "100.00", "2025-02-28": "99.00",
    }  # fmt: skip
    [line] = finora.closings.late(scope).items
    assert (line.bank_date, line.booked_on) == (date(2025, 1, 20), OPEN)
    assert (line.amount, line.description) == (euros("-25.00"), "b")
    kept = finora.records.get(scope, line.record_id)
    assert kept.on_date == date(2025, 1, 20)
    # It is known again, in whatever format, and can be changed, which leaves it where it is.
    imported(finora, scope, late)
    assert len(finora.records.list(scope, RecordFilter()).items) == 3
    finora.records.change(scope, line.record_id, RecordChange(amount=euros("-26.00")))
    [again] = finora.closings.late(scope).items
    assert (again.amount, again.booked_on) == (euros("-26.00"), OPEN)
    finora.records.delete(scope, line.record_id)
    assert finora.closings.late(scope).items == ()


def test_the_books_of_a_new_account_open_on_the_first_open_day(
    finora: Finora, scope: Scope
) -> None:
    finora.closings.close(scope, JAN)
    imported(finora, scope, ofx(("a", "20250110", "-10.00"), ledger="90.00", on="20250131"))
    assert balances(finora, scope) == {"2025-02-01": "90.00", "2025-02-28": "90.00"}
    # And once more from the start, when it is opened again and an earlier line comes.
    finora.closings.reopen(scope, None, "we have older files")
    imported(finora, scope, ofx(("z", "20250105", "-3.00"), ledger="90.00", on="20250131"))
    assert balances(finora, scope)["2025-02-28"] == "90.00"


def camt(version: str, state: str, day: str) -> bytes:
    tag, root = ("Stmt", "BkToCstmrStmt") if version == "053" else ("Rpt", "BkToCstmrAcctRpt")
    return (
        f'<?xml version="1.0"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.{version}'
        f'.001.02"><{root}><GrpHdr><MsgId>1</MsgId><CreDtTm>2025-01-31T00:00:00</CreDtTm></GrpHdr>'
        f"<{tag}><Id>1</Id><Acct><Id><IBAN>DE02120300000000202051</IBAN></Id><Ccy>EUR</Ccy></Acct>"
        f'<Ntry><Amt Ccy="EUR">4.50</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>{state}</Sts>'
        f"<BookgDt><Dt>{day}</Dt></BookgDt><NtryDtls><TxDtls><RmtInf><Ustrd>Bakery</Ustrd>"
        f"</RmtInf></TxDtls></NtryDtls></Ntry></{tag}></{root}></Document>"
    ).encode()


def test_a_pending_line_that_is_booked_late(finora: Finora, scope: Scope) -> None:
    finora.import_file(scope, io.BytesIO(camt("052", "PDNG", "2025-01-28")), name="a.xml")
    finora.closings.close(scope, JAN)
    imported(finora, scope, camt("053", "BOOK", "2025-01-30"))
    [found] = finora.records.list(scope, RecordFilter()).items
    assert (found.bank_state, found.on_date) == ("booked", date(2025, 1, 30))
    assert finora.ledger.balance_sheet(scope, on=JAN).assets == ()
    assert balances(finora, scope)["2025-02-01"] == "-4.50"


def test_transfers_are_not_matched_into_a_closed_period(finora: Finora, scope: Scope) -> None:
    csv = "Date,Amount,Description\n2025-01-31,{},Transfer\n"

    def take(account: str, amount: str) -> None:
        asked = ImportRequest(account=account, currency="EUR")
        content = csv.format(amount).encode()
        assert not isinstance(
            finora.import_file(scope, io.BytesIO(content), asked, name="x.csv"), Job
        )

    take("Giro", "-50.00")
    finora.closings.close(scope, JAN)
    take("Savings", "50.00")
    assert {each.flow for each in finora.records.list(scope, RecordFilter()).items} == {None}


@pytest.mark.invariant("I-14")
def test_closing_and_booking_at_once_leave_no_line_behind(
    finora: Finora, scope: Scope, giro: UUID
) -> None:
    """Whoever is first is first: what is booked in the period was there when it was closed."""
    outside = finora.ledger.open_account(scope, "Shop", AccountKind.EXPENSE).id
    days = [date(2025, month, 15) for month in range(1, 7)]

    def book(day: date) -> Entry:
        legs = (Posting(giro, euros("-1.00")), Posting(outside, euros("1.00")))
        return finora.ledger.post(scope, legs, on_date=day)

    def close(month: int) -> object:
        return finora.closings.close(scope, date(2025, month, 28))

    acts = [lambda day=day: book(day) for day in days * 4]
    acts[3:3] = [lambda: close(2)]
    acts[14:14] = [lambda: close(4)]
    wrong = [
        each for each in errors(together(*acts)) if not isinstance(each, PeriodClosed | BadClosing)
    ]
    assert wrong == []  # And the invariant I-14 holds, which every test ends with.


def to(category: str) -> dict[str, object]:
    return {"op": "set", "field": "category", "value": category}


def test_rules_leave_what_is_closed_and_go_on(finora: Finora, scope: Scope, giro: UUID) -> None:
    inside = record(finora, scope, giro, date(2025, 1, 10), "-5.00")
    after = record(finora, scope, giro, date(2025, 2, 10), "-7.00")
    named = Rule(
        id=new_id(),
        name="all",
        condition=condition_of({"field": "description", "op": "contains", "value": "x 2025"}),
        actions=actions_of([to("Food"), {"op": "append", "field": "note", "value": "seen"}]),
    )
    finora.rules.create(scope, named)
    early = finora.run_rules(scope, RunFilter(until=JAN))
    assert isinstance(early, RuleRun)
    finora.closings.close(scope, JAN)
    # An undone run leaves it, and says so; words are no figures.
    undone = finora.undo_rules(scope, early.id)
    assert isinstance(undone, RuleRun)
    assert (undone.restored, undone.kept) == (1, 1)
    kept = finora.records.get(scope, inside)
    assert (kept.category, kept.note) == ("Food", "")
    whole = finora.run_rules(scope, RunFilter())
    assert isinstance(whole, RuleRun)
    assert finora.records.get(scope, after).category == "Food"
    assert (whole.matched, whole.locked) == (2, 0)
    finora.rules.change(scope, named.id, actions=actions_of([to("Fun")]))
    again = finora.run_rules(scope, RunFilter())
    assert isinstance(again, RuleRun)
    assert (again.changed, again.locked) == (1, 1)
    found = [finora.records.get(scope, each).category for each in (inside, after)]
    assert found == ["Food", "Fun"]


def test_accounts_can_be_opened_all_the_same(finora: Finora, scope: Scope) -> None:
    finora.closings.close(scope, JAN)
    made = finora.ledger.open_account(scope, "New", AccountKind.ASSET)
    assert isinstance(made, Account)
