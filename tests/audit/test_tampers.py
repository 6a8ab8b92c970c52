"""Whatever somebody with the owner's rights does to the log is found, at the right place."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, text

from audit.conftest import ANCHORED, LAST_ANCHOR, LENGTH, Sealed
from audit.tampers import COLUMNS, Expected, Tamper
from finora_adapters.postgres.schema import metadata
from finora_core.audit.model import Flaw, FlawKind, Verification

TAMPERS = 1_000


def tampered(
    admin: Engine,
    chain: Sealed,
    act: Callable[[Tamper], Expected],
    seed: object,
    batches: tuple[int, ...] = (1, 4, 10, 1_000),
) -> tuple[Expected, Verification]:
    """Do it in a transaction that is undone; what the check says meanwhile."""
    with admin.connect() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        choice = random.Random(str(seed))
        tamper = Tamper(connection, chain.scope.tenant_id, choice, LENGTH, LAST_ANCHOR)
        expected = act(tamper)
        found = chain.verify(connection, batch=choice.choice(batches))
        connection.rollback()
    return expected, found


def wrong(expected: Expected, flaws: tuple[Flaw, ...]) -> str | None:
    """What is not right about what was found."""
    if len(flaws) != 1:
        return f"{expected}: {[str(flaw) for flaw in flaws]}"
    [flaw] = flaws
    assert flaw.seq is not None
    if expected.ranged:
        good = flaw.after is not None and flaw.after < expected.seq <= flaw.seq
        # As close as the anchors are: the one before the change, and the one after it.
        bounds = (0, *ANCHORED)
        good = good and flaw.after == max(each for each in bounds if each < expected.seq)
    else:
        anchored = expected.earlier and expected.seq - 1 in ANCHORED
        good = flaw.seq == expected.seq - anchored
    return None if good else f"{expected}: {flaw} after {flaw.after}"


@pytest.mark.invariant("I-52")
@pytest.mark.invariant("I-50")
@pytest.mark.invariant("T-23")
@pytest.mark.spec("S0-43", partial=True)
@pytest.mark.timeout(300)
def test_a_thousand_random_changes_are_all_found_at_the_right_place(
    admin: Engine, chain: Sealed
) -> None:
    missed, done = [], Counter[str]()
    for seed in range(TAMPERS):
        expected, found = tampered(admin, chain, lambda tamper: tamper.any(), seed)
        done[expected.what] += 1
        if said := wrong(expected, found.flaws):
            missed.append(f"{seed}: {said}")
    assert not missed, "\n".join(missed)
    assert done.total() == TAMPERS
    for table, column in COLUMNS:
        assert done[f"a byte of {table}.{column}"] >= 10
    assert len(done) > 30
    with admin.connect() as connection:
        assert chain.verify(connection).whole


def test_no_column_is_forgotten() -> None:
    for name in ("event", "seal"):
        columns = {column.name for column in metadata.tables[f"finora.{name}"].columns}
        assert {column for table, column in COLUMNS if table == name} == columns


KINDS: dict[FlawKind, list[str]] = {
    FlawKind.CHANGED: ["byte"],
    FlawKind.DELETED: ["delete_event"],
    FlawKind.GAP: ["delete_link", "delete_both"],
    FlawKind.SWAPPED: ["swap"],
    FlawKind.INSERTED: ["insert_event"],
    FlawKind.REWRITTEN: ["recompute"],
    FlawKind.TRUNCATED: ["truncate"],
}


@pytest.mark.invariant("I-52")
@pytest.mark.parametrize(
    ("kind", "act"), [(kind, act) for kind, acts in KINDS.items() for act in acts]
)
def test_what_kind_of_change_it_looks_like_is_said(
    admin: Engine, chain: Sealed, kind: FlawKind, act: str
) -> None:
    """Of most, and where both ends of a swap are looked at together: a change that is made to look
    like another looks like that one."""
    seen: Counter[Any] = Counter()
    for seed in range(20):
        _, found = tampered(
            admin, chain, lambda tamper: getattr(tamper, act)(), f"{act} {seed}", (LENGTH,)
        )
        seen[found.flaws[0].kind] += 1
    assert seen.most_common(1)[0][0] == kind, seen
