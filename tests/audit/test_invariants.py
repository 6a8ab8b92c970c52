"""The invariants have teeth: each is broken on purpose, by a superuser past every trigger, and must
say so."""

from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from books import EUR, Books, sealed
from finora import AccountKind, Amount, Finora, Scope
from finora_adapters.postgres.invariants import INVARIANTS, violations

OTHER = "00000000-0000-0000-0000-000000000001"

# What breaks it; `:t` is the tenant, `:e` an entry of it, `:r` its reversal, `:h` an ended hold.
BREAKS: dict[str, tuple[str, ...]] = {
    "I-01": ("update finora.posting set units = units + 1 where entry_id = :e and line = 0",),
    "I-02": ("delete from finora.posting where entry_id = :e and line = 0",),
    "I-03": (
        "update finora.balance set units = units + 1 where tenant_id = :t",
        "delete from finora.balance where tenant_id = :t",
    ),
    "I-04": (
        "update finora.balance set held = held + 1 where tenant_id = :t",
        "delete from finora.hold_end where hold_id = :h",
    ),
    "I-05": (
        "alter table finora.balance drop constraint balance_floor_check; "
        "update finora.balance set floor = 999999999 where tenant_id = :t",
    ),
    "I-06": (
        "delete from finora.posting where entry_id = :e",
        "update finora.entry set on_date = on_date + 1 where id = :e",
        f"update finora.posting set account_id = '{OTHER}' where entry_id = :e",
    ),
    "I-08": ("update finora.hold_end set units = 99999 where hold_id = :h",),
    "I-09": ("update finora.posting set units = 2 * units where entry_id = :r",),
    "I-11": (
        "alter table finora.posting alter units type numeric; "
        "update finora.posting set units = 'NaN' where entry_id = :e",
        "alter table finora.posting alter units type numeric; "
        "update finora.posting set units = units + 0.5 where entry_id = :e",
    ),
    "I-13": (
        "alter table finora.entry drop constraint entry_rate_check; "
        "update finora.entry set flow = 'exchange' where id = :e",
    ),
    "I-14": (
        "delete from finora.seal where tenant_id = :t and seq = 1",
        "update finora.seal set tx = '1' where tenant_id = :t and seq = 3",
        "update finora.seal set sealed_at = 'yesterday' where tenant_id = :t and seq = 3",
    ),
    "I-14 what is closed": (
        "insert into finora.closing (tenant_id, number, through, acted_by, base_asset, rates, "
        "unapproved, tx) select :t, 1, on_date, :t, 'EUR', 0, '{}', '1' from finora.entry "
        "where id = :e",
    ),
    "the parts": (
        "insert into finora.label_part (tenant_id, entry_id, number, part, category, units) "
        "values (:t, :e, 1, 1, 'a', 1)",
    ),
    "a category": (
        "insert into finora.label (tenant_id, entry_id, number, category, source, set_by) "
        "values (:t, :e, 1, 'nowhere', 'human', :t)",
    ),
    "I-20": (
        "insert into finora.job (tenant_id, id, name, queue, event_id, user_id, request_id, "
        f"payload, max_attempts) values (:t, '{OTHER}', 'x', 'x', '{OTHER}', '{OTHER}', 'x', "
        "'{}', 1)",
    ),
    "totals": (
        "update finora.total set units = units + 1 where tenant_id = :t",
        "update finora.total set postings = postings + 1 where tenant_id = :t",
        "delete from finora.total where tenant_id = :t",
    ),
}
ELSEWHERE = {"a booked record"}  # broken in tests/records, where there are records


def named(code: str) -> str:
    return next(name for name in INVARIANTS if name.startswith(f"{code} "))


@pytest.fixture
def keys(finora: Finora, scope: Scope) -> dict[str, UUID]:
    books = Books(finora.ledger, scope)
    cash, world = books.open("Cash", floor=0), books.open("World", AccountKind.OUTSIDE)
    made = books.pay(world, cash, 500)
    back = books.ledger.reverse(scope, books.pay(cash, world, 5).id)
    held = books.ledger.hold(scope, cash, Amount(5, EUR))
    books.ledger.post_hold(scope, held.id, world)
    books.ledger.hold(scope, cash, Amount(7, EUR))
    sealed(finora, scope)
    return {"t": scope.tenant_id, "e": made.id, "r": back.id, "h": held.id}


@pytest.mark.parametrize(
    ("code", "sql"), [(code, sql) for code, many in BREAKS.items() for sql in many]
)
def test_an_invariant_says_when_it_is_broken(
    admin: Engine, keys: dict[str, UUID], code: str, sql: str
) -> None:
    with admin.connect() as connection:
        assert violations(connection) == []
        connection.execute(text("set local session_replication_role = replica"))
        for statement in sql.split("; "):
            given = {name: key for name, key in keys.items() if f":{name}" in statement}
            assert connection.execute(text(statement), given).rowcount
        broken = {violation.invariant for violation in violations(connection)}
        connection.rollback()
    assert named(code) in broken


def test_every_invariant_is_broken_once() -> None:
    covered = {named(code) for code in (*BREAKS, *ELSEWHERE)}
    assert covered == set(INVARIANTS)
