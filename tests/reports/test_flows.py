"""Whatever reads flows by category reads the same: totals, days, explanations, goals, reports; with
splits, reversals and other labels, to the last unit, as a recompute from the postings has it."""

from collections import defaultdict
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from finora import AccountKind, Amount, Finora, NewRecord, RecordChange, Scope, currency
from finora_core.insights.explain.model import Direction, Figure
from finora_core.insights.model import last_day
from finora_core.records.model import Part, SplitStands

EUR = currency("EUR")
FIRST = date(2023, 1, 5)
CATEGORIES = ("", "A", "A:B", "A:B:C", "D")
Cells = dict[tuple[str, str], int]
"""By category and direction."""

ACTS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "enter", "split", "split", "change", "delete", "label", "link"]),
        st.integers(0, 1),
        st.integers(0, 100),
        st.integers(-1_000, 1_000).filter(bool),
        st.lists(st.sampled_from(CATEGORIES[1:]), min_size=2, max_size=3),
    ),
    min_size=3,
    max_size=16,
)
_RAW = text("""
select p.on_date, p.account_id, p.units, e.reverses is not null as back,
  coalesce(l.flow, e.flow) as flow, coalesce(l.category, '') as category,
  (select json_agg(json_build_array(s.category, s.units::text)) from finora.label_part s
    where s.tenant_id = p.tenant_id and s.entry_id = l.entry_id and s.number = l.number) as parts
from finora.posting p
join finora.entry e on e.tenant_id = p.tenant_id and e.id = p.entry_id
left join lateral (select * from finora.label l where l.tenant_id = p.tenant_id
  and l.entry_id in (e.id, e.reverses) order by number desc limit 1) l on true
where p.tenant_id = :tenant and p.account_id = any(:accounts)
""")


def split(finora: Finora, scope: Scope, record: UUID, units: int, names: list[str]) -> None:
    """Into parts that sum to the record, some of them of the other sign."""
    amount = finora.records.get(scope, record).amount
    shares = [units + number for number in range(1, len(names))]
    shares = [share or 1_001 for share in shares]
    shares.append(amount.units - sum(shares))
    if not shares[-1]:
        shares[0], shares[-1] = shares[0] - 7 or 8, 7 if shares[0] - 7 else shares[0] - 8
    parts = [Part(name, Amount(n, EUR)) for name, n in zip(names, shares, strict=True)]
    if all(shares) and sum(shares) == amount.units:
        finora.records.split(scope, record, parts)


def live(
    finora: Finora, scope: Scope, acts: list[tuple[str, int, int, int, list[str]]]
) -> list[UUID]:
    kinds = (AccountKind.ASSET, AccountKind.LIABILITY)
    accounts = [finora.ledger.open_account(scope, kind.value, kind).id for kind in kinds]
    records, made = finora.records, list[UUID]()
    for act, which, day, units, names in acts:
        on, amount = FIRST + timedelta(days=day), Amount(units, EUR)
        if act == "enter" or not made:
            new = NewRecord(
                account_id=accounts[which], on_date=on, amount=amount, description="x",
                category=names[0],
            )  # fmt: skip
            made.append(records.create(scope, new).id)
        elif act == "split":
            split(finora, scope, made[-1], units, names)
        elif act == "change":
            try:
                records.change(scope, made[-1], RecordChange(amount=amount, on_date=on))
            except SplitStands:
                records.change(scope, made[-1], RecordChange(on_date=on))
        elif act == "label":
            records.categorise(scope, made[-1], names[0])
        elif act == "link" and len(made) > 1:
            one, other = (records.get(scope, made[at]) for at in (-1, -2))
            if one.account_id != other.account_id and one.amount == -other.amount:
                records.link_transfer(scope, one.id, other.id)
        elif act == "delete":
            records.delete(scope, made.pop())
    return accounts


def recomputed(
    admin: Engine, scope: Scope, accounts: list[UUID], since: date, until: date
) -> tuple[Cells, dict[UUID, int]]:
    with admin.connect() as connection:
        rows = connection.execute(_RAW, {"tenant": scope.tenant_id, "accounts": accounts}).all()
    cells, grown = defaultdict[tuple[str, str], int](int), defaultdict[UUID, int](int)
    for row in rows:
        if not since <= row.on_date <= until:
            continue
        grown[row.account_id] += int(row.units)
        sign = -1 if row.back else 1
        for category, units in row.parts or [(row.category, sign * int(row.units))]:
            units = sign * int(units)
            way = ("in" if sign * units > 0 else "out") if row.flow == "flow" else row.flow
            cells[category, way] += units
    return {key: n for key, n in cells.items() if n}, {key: n for key, n in grown.items() if n}


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(acts=ACTS, cut=st.tuples(st.integers(0, 99), st.integers(0, 99)), whole=st.booleans())
@pytest.mark.spec("S3-34")
def test_every_read_of_flows_is_a_recompute_from_the_postings(
    finora: Finora, admin: Engine, acts: list[tuple[str, int, int, int, list[str]]],
    cut: tuple[int, int], whole: bool,
) -> None:  # fmt: skip
    scope = finora.scope(tenant=f"t-{uuid4()}", user="u")
    accounts = live(finora, scope, acts)
    since, until = sorted(FIRST + timedelta(days=day) for day in cut)
    if whole:
        since, until = since.replace(day=1), last_day(until)
    cells, grown = recomputed(admin, scope, accounts, since, until)
    flows = {key: units for key, units in cells.items() if key[1] in ("in", "out")}

    def summed(found: list[tuple[str, str, int]]) -> Cells:
        sums = defaultdict[tuple[str, str], int](int)
        for category, way, units in found:
            sums[category, way] += units
        return {key: units for key, units in sums.items() if units}

    # One transaction that has all of them.
    with finora.reports.begin(scope) as work:
        known = work.figures.known(None)
        moved = work.figures.moved(known, since, until)
        assert summed([(x.category, x.direction, x.amount.units) for x in moved]) == cells
    with finora.wallet.begin(scope) as work:
        daily = work.totals.daily(since, until)
        assert summed([(x.category, x.direction, x.amount.units) for x in daily]) == flows
        if whole:
            monthly = work.totals.monthly(since, until)
            assert summed([(x.category, x.direction, x.amount.units) for x in monthly]) == flows
    with finora.explain.begin(scope) as work:
        for way in Direction:
            figure = Figure(asset="EUR", since=since, until=until, direction=way)
            sums = work.explained.sums(figure)
            of_way = {key: units for key, units in cells.items() if key[1] == way}
            assert summed([(x.category, way.value, x.units) for x in sums]) == of_way
            posted = work.explained.postings(figure, None, 1_000).items
            assert summed([(x.category, way.value, x.units) for x in posted]) == of_way
            assert len({(x.entry_id, x.line, x.part) for x in posted}) == len(posted)
    with finora.goals.begin(scope) as work:
        found = work.goals.grown(accounts, since - timedelta(days=1), until)
        assert {x.account_id: x.amount.units for x in found} == grown
    # And as it was known once all of it was closed.
    number = finora.closings.close(scope, date(2023, 12, 31)).number
    finora.closings.reopen(scope, None, "to see that it stays")
    for record in finora.records.list(scope, limit=100).items:
        finora.records.categorise(scope, record.id, "Z")
    with finora.reports.begin(scope) as work:
        moved = work.figures.moved(work.figures.known(number), since, until)
        assert summed([(x.category, x.direction, x.amount.units) for x in moved]) == cells


def test_a_split_is_explained_part_by_part(finora: Finora, scope: Scope) -> None:
    giro = finora.ledger.open_account(scope, "Giro", AccountKind.ASSET).id
    new = NewRecord(account_id=giro, on_date=FIRST, amount=Amount(-1_000, EUR), description="Shop")
    record = finora.records.create(scope, new)
    parts = [Part("Food", Amount(-700, EUR)), Part("Fun", Amount(-500, EUR)),
             Part("Food", Amount(200, EUR))]  # fmt: skip
    finora.records.split(scope, record.id, parts)
    assert record.entry_id is not None
    spent = Figure(asset="EUR", since=FIRST, until=FIRST, direction=Direction.OUT)
    found = finora.explain.explain(scope, spent)
    assert [(part.label, part.amount.units) for part in found.parts] == [
        ("Food", -700),
        ("Fun", -500),
    ]
    held = Figure(asset="EUR", since=FIRST, until=FIRST, account_id=giro)
    seen, cursor = [], None
    while True:
        page = finora.explain.explain(scope, held, cursor=cursor, limit=1)
        assert (page.amount.units, page.postings) == (-1_000, 3)
        seen += [(part.label, part.category, part.amount.units) for part in page.parts]
        cursor = page.next
        if cursor is None:
            break
    assert seen == [("Shop", "Food", -700), ("Shop", "Fun", -500), ("Shop", "Food", 200)]
    [said] = finora.explain.origin(scope, record.entry_id).labels
    assert said.parts == tuple(parts)
