"""Entering, changing, deleting, categorising and listing records."""

import io
import random
from collections.abc import Callable
from datetime import date, timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from finora import (
    Account,
    Amount,
    Finora,
    ImportRequest,
    Job,
    NewRecord,
    Record,
    RecordChange,
    RecordFilter,
    Refusal,
    Scope,
    currency,
)
from finora_core.records.model import Status

EUR = currency("EUR")


@pytest.fixture
def giro(finora: Finora, scope: Scope) -> Account:
    return finora.ledger.open_account(scope, "Giro", asset="EUR")


Enter = Callable[..., Record]


@pytest.fixture
def enter(finora: Finora, scope: Scope, giro: Account) -> Enter:
    def enter(day: int, amount: str, text: str = "x", **more: str) -> Record:
        new = NewRecord(
            account_id=giro.id,
            on_date=date(2026, 1, day),
            amount=Amount.parse(amount, EUR),
            description=text,
            **more,
        )
        return finora.records.create(scope, new)

    return enter


def balance(finora: Finora, scope: Scope, account: Account) -> str:
    return finora.ledger.balances(scope, account.id)[0].amount.text


@pytest.mark.spec("S2-26")
def test_the_sign_decides_and_a_type_must_agree(
    finora: Finora, scope: Scope, giro: Account
) -> None:
    """Positive is income, negative is expense; the balance is opening plus the sum."""
    new = NewRecord(
        account_id=giro.id, on_date=date(2026, 1, 1), amount=Amount.parse("-5.00", EUR),
        description="lunch",
    )  # fmt: skip
    with pytest.raises(Refusal) as refusal:
        finora.records.create(scope, new, kind="income")
    assert refusal.value.code == "BAD_RECORD"
    assert finora.records.list(scope).items == ()
    finora.records.create(scope, new, kind="expense")
    assert balance(finora, scope, giro) == "-5.00"


@pytest.mark.spec("S2-25")
def test_a_record_of_an_account_that_is_not_there_is_refused(
    finora: Finora, scope: Scope, stranger: Scope
) -> None:
    """Also of an account that is there for another tenant."""
    other = finora.ledger.open_account(stranger, "Giro", asset="EUR")
    for account_id in (uuid4(), other.id):
        new = NewRecord(account_id=account_id, on_date=date(2026, 1, 1),
                        amount=Amount.parse("1.00", EUR), description="x")  # fmt: skip
        with pytest.raises(Refusal) as refusal:
            finora.records.create(scope, new)
        assert refusal.value.code == "ACCOUNT_NOT_FOUND"


@pytest.mark.spec("S2-25")
def test_records_are_listed_by_date_and_filtered(
    finora: Finora, scope: Scope, enter: Enter
) -> None:
    enter(3, "-3.00", "Bakery 50%_off", category="food")
    enter(1, "10.00", "Salary")
    enter(2, "-7.00", "Bus", counterparty="City Transit")

    def found(**wanted: object) -> list[int]:
        page = finora.records.list(scope, RecordFilter(**wanted))  # type: ignore[arg-type]  # spread
        return [record.on_date.day for record in page.items]

    assert found() == [3, 2, 1]
    assert found(category="food") == [3]
    assert found(text="transit") == [2]
    assert found(text="50%_") == [3] and found(text="5_%") == []
    assert found(since=date(2026, 1, 2), until=date(2026, 1, 2)) == [2]
    assert found(least=Amount.parse("-5.00", EUR)) == [3, 1]
    assert found(most=Amount.parse("-5.00", EUR)) == [2]
    assert found(status=Status.RECEIVED, source="manual") == [3, 2, 1]
    enter(4, "-4.00", "Out", category="food:out")
    enter(5, "-5.00", "Foodie", category="foodie")
    assert found(category="food") == [3]
    assert found(category="food", below=True) == [4, 3]
    assert found(category="food:out", below=True) == [4]
    assert 4 not in found(category="", below=True)


def test_paging_shows_every_record_once(finora: Finora, scope: Scope, enter: Enter) -> None:
    for number in range(25):
        enter(1 + number % 3, "-1.00", f"line {number}")
    seen: list[Record] = []
    cursor = None
    while True:
        page = finora.records.list(scope, cursor=cursor, limit=7)
        seen.extend(page.items)
        cursor = page.next
        if cursor is None:
            break
    assert len(seen) == len({record.id for record in seen}) == 25
    assert [r.on_date for r in seen] == sorted((r.on_date for r in seen), reverse=True)
    for bad in ("x", "eyJhIjoxfQ", "W10"):
        with pytest.raises(Refusal, match="cursor"):
            finora.records.list(scope, cursor=bad)


@pytest.mark.spec("S2-25")
def test_a_change_of_amount_reverses_and_posts_anew(
    finora: Finora, scope: Scope, giro: Account, enter: Enter
) -> None:
    """The earlier revision is kept; the category moves along; a stale revision is refused."""
    record = enter(1, "-5.00", "lunch", category="food")
    changed = finora.records.change(
        scope, record.id, RecordChange(amount=Amount.parse("-6.00", EUR)), revision=0
    )
    assert (changed.revision, changed.category) == (1, "food")
    assert balance(finora, scope, giro) == "-6.00"
    assert len(list(finora.ledger.entries(scope))) == 3
    [before] = finora.records.detail(scope, record.id).revisions
    assert (before["units"], before["number"]) == ("-500", 0)
    with pytest.raises(Refusal) as refusal:
        finora.records.change(scope, record.id, RecordChange(description="x"), revision=0)
    assert refusal.value.code == "RECORD_CHANGED"


def test_a_change_of_words_moves_no_money(finora: Finora, scope: Scope, enter: Enter) -> None:
    record = enter(1, "-5.00", "lunch")
    changed = finora.records.change(scope, record.id, RecordChange(description="lunch with Ana"))
    assert changed.entry_id == record.entry_id
    assert changed.description == "lunch with Ana"


@pytest.mark.spec("S2-25")
def test_a_deleted_record_is_reversed_and_kept(
    finora: Finora, scope: Scope, giro: Account, enter: Enter
) -> None:
    record = enter(1, "-5.00")
    assert finora.records.delete(scope, record.id).void
    assert balance(finora, scope, giro) == "0.00"
    assert finora.records.list(scope).items == ()
    assert len(finora.records.list(scope, RecordFilter(with_void=True)).items) == 1
    with pytest.raises(Refusal) as refusal:
        finora.records.delete(scope, record.id)
    assert refusal.value.code == "RECORD_VOID"


def test_another_tenant_cannot_see_or_touch_a_record(
    finora: Finora, scope: Scope, stranger: Scope, enter: Enter
) -> None:
    record = enter(1, "-5.00")
    acts: list[Callable[[], object]] = [
        lambda: finora.records.get(stranger, record.id),
        lambda: finora.records.detail(stranger, record.id),
        lambda: finora.records.delete(stranger, record.id),
        lambda: finora.records.change(stranger, record.id, RecordChange(description="x")),
        lambda: finora.records.categorise(stranger, record.id, "x"),
    ]
    for act in acts:
        with pytest.raises(Refusal) as refusal:
            act()
        assert refusal.value.code == "RECORD_NOT_FOUND"


@pytest.mark.spec("S3-13")
def test_a_record_keeps_what_was_received(finora: Finora, scope: Scope) -> None:
    """Raw payload, normalised fields, and a trace of reasoning that is still empty."""
    text = "Date,Amount,Currency,Payee,Memo\n2026-01-05,-12.30,EUR,Rewe 123,Groceries\n"
    result = finora.import_file(
        scope, io.BytesIO(text.encode()), ImportRequest(account="Giro"), name="a.csv"
    )
    assert not isinstance(result, Job), result.message
    [record] = finora.records.list(scope).items
    detail = finora.records.detail(scope, record.id)
    assert detail.raw == ["2026-01-05", "-12.30", "EUR", "Rewe 123", "Groceries"]
    assert (record.amount, record.direction) == (Amount.parse("-12.30", EUR), "out")
    assert (record.counterparty, record.merchant_key) == ("Rewe 123", "REWE")
    assert (record.description, record.account) == ("Groceries", "Giro")
    assert detail.reasoning_trace == ()


@pytest.mark.spec("S3-14", partial=True)
def test_a_status_leads_only_where_it_may() -> None:
    """From received by processing to a decision; what a person approved is not processed again."""
    assert Status.RECEIVED.to(Status.PROCESSING) is Status.PROCESSING
    for status, wanted in (
        (Status.RECEIVED, Status.PROCESSED),
        (Status.APPROVED, Status.PROCESSING),
        (Status.OVERRIDDEN, Status.APPROVED),
        (Status.FAILED, Status.APPROVED),
    ):
        with pytest.raises(Refusal) as refusal:
            status.to(wanted)
        assert refusal.value.code == "ILLEGAL_STATUS"


def test_texts_that_cannot_be_stored_are_refused(enter: Enter) -> None:
    for text in ("a\x00b", "\ud800", "x" * 5_000):
        with pytest.raises(Refusal) as refusal:
            enter(1, "1.00", text)
        assert refusal.value.code == "BAD_RECORD"
    for text in ("'; drop table record; --", "Ω≈ç√ 田中さん", "\u202eabc", "{}", "=1+1"):
        assert enter(1, "1.00", text).description == text


@pytest.mark.spec("S2-18")
@pytest.mark.spec("S2-20", partial=True)
@hypothesis_settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10**6))
def test_the_wallet_equals_a_full_scan_over_any_history(finora: Finora, seed: int) -> None:
    """Random entries, edits, deletions, reversals, labels and transfers; then every figure is
    computed again from the records in Python. (The invariants compare the totals as well.)"""
    random_ = random.Random(seed)
    scope = finora.scope(tenant=f"t-{uuid4()}", user="u1")
    accounts = [finora.ledger.open_account(scope, name, asset="EUR") for name in ("A", "B")]
    _history(finora, scope, accounts, random_)
    records = finora.records.list(scope, limit=1000).items
    today = date(2026, 6, 30)
    since = date(2026, 6, 1)
    summary = finora.wallet.summary(scope, today=today)

    spent = [r for r in records if r.on_date <= today]
    now = [r.amount.units for r in spent if r.on_date >= since]
    income, expense = (sum(u for u in now if u > 0), sum(u for u in now if u < 0))
    [flows] = summary.flows or [None]
    assert (flows.income.units, flows.expense.units) if flows else (income, expense) == (0, 0)
    assert sum(a.units for a in summary.balances) == sum(r.amount.units for r in records)

    by_day: dict[date, int] = {}
    for record in spent:
        by_day[record.on_date] = by_day.get(record.on_date, 0) + record.amount.units
    days = finora.wallet.cashflow(scope, date(2026, 1, 1), today)
    assert {d.day: d.flows[0].net.units for d in days if d.flows[0].net} == {
        day: units for day, units in by_day.items() if units
    }
    for worth in finora.wallet.networth(scope, 6, today=today):
        until = sum(r.amount.units for r in records if r.on_date <= worth.day)
        assert sum(amount.units for amount in worth.amounts) == until
    top: dict[str, int] = {}
    for record in spent:
        if record.on_date >= since and record.amount.units < 0:
            top[record.category] = top.get(record.category, 0) + record.amount.units
    ranked = sorted(top.items(), key=lambda item: (item[1], item[0]))[:5]
    assert [(c.category, c.spent.units) for c in summary.top_categories] == ranked


def _history(finora: Finora, scope: Scope, accounts: list[Account], random_: random.Random) -> None:
    known: list[Record] = []
    for _ in range(40):
        act = random_.random()
        day = date(2026, 1, 1) + timedelta(random_.randrange(181))
        amount = Amount(random_.choice([-1, 1]) * random_.randint(1, 10_000), EUR)
        if act < 0.6 or not known:
            new = NewRecord(
                account_id=random_.choice(accounts).id, on_date=day, amount=amount,
                description="x", category=random_.choice(["", "food", "rent"]),
            )  # fmt: skip
            known.append(finora.records.create(scope, new))
            continue
        target = random_.choice(known)
        if act < 0.75:
            change = RecordChange(on_date=day, amount=amount, account_id=accounts[0].id)
            finora.records.change(scope, target.id, change)
        elif act < 0.85:
            finora.records.categorise(scope, target.id, random_.choice(["", "fun", "food"]))
        else:
            finora.records.delete(scope, target.id)
            known.remove(target)
