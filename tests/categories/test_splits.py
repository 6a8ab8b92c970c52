"""Splitting a record among categories: the totals follow the parts, to the last unit."""

from collections import Counter
from datetime import date
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from finora import Account, Amount, Finora, NewRecord, RecordChange, Refusal, Scope, currency
from finora_adapters.postgres.invariants import violations
from finora_core.records.model import Part

EUR = currency("EUR")
DAY = date(2026, 1, 15)


@pytest.fixture
def giro(finora: Finora, scope: Scope) -> Account:
    return finora.ledger.open_account(scope, "Giro", asset="EUR")


def enter(finora: Finora, scope: Scope, giro: Account, units: int, category: str = "") -> UUID:
    new = NewRecord(
        account_id=giro.id,
        on_date=DAY,
        amount=Amount(units, EUR),
        description="Supermarket",
        category=category,
    )
    return finora.records.create(scope, new).id


def parts(*given: tuple[str, int]) -> list[Part]:
    return [Part(category, Amount(units, EUR)) for category, units in given]


def spent(finora: Finora, scope: Scope) -> Counter[str]:
    """Units by category, in and out together, by the totals; the daily flows say the same."""
    query = text("select category, sum(units) as units from finora.total "
                 "where tenant_id = :t and direction in ('in', 'out') group by 1")  # fmt: skip
    with finora._opened.database.begin(scope) as work:
        rows = work.connection.execute(query, {"t": scope.tenant_id}).all()
        daily: Counter[str] = Counter()
        for moved in work.totals.daily(DAY, DAY):
            daily[moved.category] += moved.amount.units
    found = Counter({row.category: int(row.units) for row in rows if row.units})
    assert found == Counter({name: units for name, units in daily.items() if units})
    return found


@pytest.mark.spec("S2-25", partial=True)
def test_the_totals_follow_the_parts_and_a_reversal_takes_them_back(
    finora: Finora, scope: Scope, giro: Account
) -> None:
    record = enter(finora, scope, giro, -5_000, "Food")
    split = finora.records.split(
        scope, record, parts(("Food:Groceries", -4_321), ("Household", -679))
    )
    assert [(part.category, part.amount.units) for part in split.parts] == [
        ("Food:Groceries", -4_321), ("Household", -679)]  # fmt: skip
    assert split.category == ""
    assert split.locked == ("category",)
    assert spent(finora, scope) == {"Food:Groceries": -4_321, "Household": -679}
    finora.records.split(scope, record, parts(("Food", -6_000), ("Cashback", 1_000)))
    assert spent(finora, scope) == {"Food": -6_000, "Cashback": 1_000}
    moved = finora.records.change(scope, record, RecordChange(on_date=date(2026, 1, 15)))
    assert len(moved.parts) == 2
    assert spent(finora, scope) == {"Food": -6_000, "Cashback": 1_000}
    finora.records.delete(scope, record)
    assert spent(finora, scope) == {}


def test_parts_that_do_not_sum_are_refused_with_what_is_missing(
    finora: Finora, scope: Scope, giro: Account
) -> None:
    record = enter(finora, scope, giro, -5_000)
    for wrong in (
        parts(("A", -4_999), ("B", -2)),
        parts(("A", -5_000)),
        parts(("A", -5_000), ("B", 0)),
        parts(("A", -2_500), ("", -2_500), ("C", 1)),
        [Part("A", Amount(-2_500, EUR)), Part("B", Amount(-2_500, currency("USD")))],
    ):
        with pytest.raises(Refusal) as refused:
            finora.records.split(scope, record, wrong)
        assert refused.value.code == "BAD_SPLIT"
    assert spent(finora, scope) == {"": -5_000}


def test_another_amount_wants_another_split_and_a_category_takes_it_away(
    finora: Finora, scope: Scope, giro: Account
) -> None:
    record = enter(finora, scope, giro, 900)
    finora.records.split(scope, record, parts(("A", 450), ("B", 450)))
    with pytest.raises(Refusal) as refused:
        finora.records.change(scope, record, RecordChange(amount=Amount(901, EUR)))
    assert refused.value.code == "SPLIT_STANDS"
    assert finora.records.categorise(scope, record, " Income : Wages ").parts == ()
    assert finora.records.change(scope, record, RecordChange(amount=Amount(901, EUR))).category == (
        "Income:Wages"
    )
    assert spent(finora, scope) == {"Income:Wages": 901}


def test_parts_come_before_their_label_with_it_and_of_one_own_account(
    finora: Finora, scope: Scope, giro: Account
) -> None:
    """What the database holds, whatever a program does."""
    record = enter(finora, scope, giro, -100)
    other = finora.ledger.open_account(scope, "Savings", asset="EUR")
    transfer = finora.ledger.transfer(scope, giro.id, other.id, Amount(100, EUR), on_date=DAY)
    add = text("insert into finora.label_part (tenant_id, entry_id, number, part, category, units) "
               "values (:t, :e, :n, 1, 'A', :u)")  # fmt: skip
    database = finora._opened.database

    def write(entry: UUID, number: int, units: int, *, label: bool) -> None:
        with database.begin(scope) as work:
            values = {"t": scope.tenant_id, "e": entry, "n": number, "u": units}
            work.connection.execute(add, values)
            if label:
                work.records.label(entry, "", None, "human", scope.user_id)

    for entry, number, units, label in (
        (record, 1, -100, False),
        (record, 1, -99, True),
        (transfer.id, 1, -100, True),
    ):
        with pytest.raises(Refusal) as refused:
            write(entry, number, units, label=label)
        assert refused.value.code == "BAD_SPLIT"
    finora.records.categorise(scope, record, "B")
    with pytest.raises(Refusal) as refused:
        write(record, 1, -100, label=False)
    assert refused.value.code == "BAD_SPLIT"


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.one_of(
            st.lists(st.tuples(st.sampled_from("ABC"), st.integers(-500, 500).filter(bool)),
                     min_size=2, max_size=5),
            st.sampled_from(["A", "B:C", "link", "unlink", "move", "delete"]),
        ),
        max_size=6,
    )
)  # fmt: skip
def test_whatever_is_split_linked_moved_and_deleted_the_totals_are_a_full_scan_s(
    finora: Finora, scope: Scope, giro: Account, admin: Engine, steps: list[object]
) -> None:
    record = enter(finora, scope, giro, 1_000)
    other = finora.ledger.open_account(scope, f"Other {record}", asset="EUR")
    twin = enter(finora, scope, other, -1_000)
    for step in steps:
        match step:
            case list():
                rest = 1_000 - sum(units for _, units in step)
                shares = [*step, ("D", rest)] if rest else step
                finora.records.split(scope, record, parts(*shares))
            case "link" | "unlink":
                finora.records.link_transfer(scope, record, twin, linked=step == "link")
            case "move":
                finora.records.change(scope, record, RecordChange(on_date=date(2026, 2, 1)))
            case "delete":
                finora.records.delete(scope, record)
                break
            case str(name):
                finora.records.categorise(scope, record, name)
    with admin.connect() as connection:
        assert violations(connection) == []


@pytest.mark.spec("S3-16", partial=True)
def test_what_a_person_sets_is_locked_until_it_is_unlocked(
    finora: Finora, scope: Scope, giro: Account
) -> None:
    record = enter(finora, scope, giro, -100)
    change = RecordChange(note="for Ada", tags=("trip", " food ", "trip"), merchant="Spar")
    changed = finora.records.change(scope, record, change)
    assert (changed.note, changed.tags, changed.merchant) == ("for Ada", ("food", "trip"), "Spar")
    assert changed.locked == ("merchant", "note", "tags")
    assert changed.revision == 1
    same = finora.records.unlock(scope, record, ["note", "tags"])
    assert (same.locked, same.note, same.revision) == (("merchant",), "for Ada", 1)
    assert finora.records.change(scope, record, RecordChange(merchant="")).merchant is None
    first = finora.records.detail(scope, record).revisions[0]
    assert (first["note"], first["tags"]) == ("", "")
    for wrong in (("a,b",), ("",), ("x" * 51,), tuple(map(str, range(51)))):
        with pytest.raises(Refusal) as refused:
            RecordChange(tags=wrong)
        assert refused.value.code == "BAD_TAGS"
