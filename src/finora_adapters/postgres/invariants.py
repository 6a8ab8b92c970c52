"""What must be true of the books at any moment: each query returns no row when it is.

Run after every test that wrote, by `finora doctor`, and in production every quarter of an hour.
The connection must see all tenants: the schema's owner with row security off, or a superuser.
"""

import attrs
from sqlalchemy import Connection, text

from finora_adapters.postgres import flows

INVARIANTS: dict[str, str] = {
    "I-01 postings of an entry sum to zero per asset": """
        select tenant_id, entry_id, asset from finora.posting group by 1, 2, 3
        having sum(units) <> 0""",
    "I-02 a tenant's ledger sums to zero per asset": """
        select tenant_id, asset from finora.posting group by 1, 2 having sum(units) <> 0""",
    "I-03 a balance is the sum of its postings": """
        select tenant_id, account_id, asset from (
          select tenant_id, account_id, asset, units from finora.balance
          union all select tenant_id, account_id, asset, -units from finora.posting
        ) both_sides group by 1, 2, 3 having sum(units) <> 0""",
    "I-04 held is the sum of open holds": """
        select tenant_id, account_id, asset from (
          select tenant_id, account_id, asset, held as units from finora.balance
          union all select h.tenant_id, h.account_id, h.asset, -h.units from finora.hold h
            where not exists (select from finora.hold_end e
              where e.tenant_id = h.tenant_id and e.hold_id = h.id)
        ) both_sides group by 1, 2, 3 having sum(units) <> 0""",
    "I-05 nothing is below its floor": """
        select tenant_id, account_id, asset from finora.balance
        where held < 0 or available < floor or available <> normal * units - held""",
    "I-06 an entry has two postings at least, in its tenant, at its date": """
        select e.tenant_id, e.id from finora.entry e left join finora.posting p
          on p.tenant_id = e.tenant_id and p.entry_id = e.id
        group by 1, 2, e.on_date having count(p.line) < 2 or bool_or(p.on_date <> e.on_date)
        union all
        select p.tenant_id, p.entry_id from finora.posting p where not exists (
          select from finora.account a where a.tenant_id = p.tenant_id and a.id = p.account_id)""",
    "I-08 a hold ends once, within its amount": """
        select h.tenant_id, h.id from finora.hold h join finora.hold_end e
          on e.tenant_id = h.tenant_id and e.hold_id = h.id where e.units > h.units""",
    "I-09 a reversal mirrors its original exactly": """
        select tenant_id, original, account_id, asset from (
          select e.tenant_id, coalesce(e.reverses, e.id) as original, p.account_id, p.asset, p.units
          from finora.entry e join finora.posting p
            on p.tenant_id = e.tenant_id and p.entry_id = e.id
          where e.reverses is not null or exists (select from finora.entry r
            where r.tenant_id = e.tenant_id and r.reverses = e.id)
        ) pair group by 1, 2, 3, 4 having sum(units) <> 0""",
    "I-11 every amount is whole, finite and in range": """
        select tenant_id, entry_id from finora.posting
        where units = 'NaN' or units <> trunc(units) or abs(units) >= 1e78""",
    "I-13 an exchange names its rate": """
        select tenant_id, id from finora.entry
        where flow = 'exchange' and (rate is null or rate_source is null)""",
    "I-14 the seal is gapless and never goes back": """
        select tenant_id, seq from (
          select tenant_id, seq, tx, sealed_at, lag(seq, 1, 0::bigint) over w as before,
            lag(tx) over w as tx_before, lag(sealed_at) over w as sealed_before
          from finora.seal window w as (partition by tenant_id order by seq)
        ) s where seq <> before + 1 or tx < tx_before or sealed_at < sealed_before""",
    "I-20 a job has its cause": """
        select j.tenant_id, j.id from finora.job j where not exists (
          select from finora.event e where e.tenant_id = j.tenant_id and e.id = j.event_id)""",
    "a booked record has its entry, for its amount": """
        select r.tenant_id, r.id from finora.record r
        left join finora.posting p on p.tenant_id = r.tenant_id and p.entry_id = r.entry_id
          and p.account_id = r.account_id
        left join finora.entry e on e.tenant_id = r.tenant_id and e.id = r.entry_id
        where r.entry_id is not null and (p.units is distinct from r.units
          or p.asset <> r.asset or coalesce(e.bank_date, e.on_date) <> r.on_date)""",
    "I-14 what is closed was written before": """
        select e.tenant_id, e.id from finora.entry e join (
          select distinct on (tenant_id) * from finora.closing order by tenant_id, number desc
        ) c on c.tenant_id = e.tenant_id and e.on_date <= c.through and e.tx > c.tx
        union all
        select l.tenant_id, l.entry_id from finora.label l join finora.entry e
          on e.tenant_id = l.tenant_id and e.id = l.entry_id join (
          select distinct on (tenant_id) * from finora.closing order by tenant_id, number desc
        ) c on c.tenant_id = e.tenant_id and e.on_date <= c.through and l.tx > c.tx""",
    "totals are a full scan's": f"""
        select tenant_id, month, account_id, asset, category, direction from (
          select tenant_id, month, account_id, asset, category, direction, units, postings
          from finora.total
          union all
          select p.tenant_id, date_trunc('month', p.on_date)::date, p.account_id, p.asset,
            {flows.CATEGORY}, {flows.DIRECTION}, -{flows.UNITS},
            -({flows.COUNT})
          from finora.posting p
          join finora.account a on a.tenant_id = p.tenant_id and a.id = p.account_id
            and a.kind in ('asset', 'liability')
          join finora.entry e on e.tenant_id = p.tenant_id and e.id = p.entry_id
          {flows.LABELLED}
        ) both_sides group by 1, 2, 3, 4, 5, 6
        having sum(units) <> 0 or sum(postings) <> 0""",
    "the parts of a split sum to what its entry moves": """
        select s.tenant_id, s.entry_id, s.number from finora.label_part s group by 1, 2, 3
        having sum(s.units) is distinct from (
          select case when count(*) = 1 then sum(p.units) end from finora.posting p
          join finora.account a on a.tenant_id = p.tenant_id and a.id = p.account_id
            and a.kind in ('asset', 'liability')
          where p.tenant_id = s.tenant_id and p.entry_id = s.entry_id)""",
    "a category in use is in the list": """
        select l.tenant_id, l.category from finora.label l
        where length(l.category) between 1 and 200 and not exists (select from finora.category c
            where c.tenant_id = l.tenant_id and c.name = l.category)""",
}


@attrs.frozen
class Violation:
    invariant: str
    rows: tuple[tuple[object, ...], ...]
    """The first ten keys that break it."""


def violations(connection: Connection) -> list[Violation]:
    """Every invariant that does not hold, with the rows that break it."""
    broken = []
    for name, query in INVARIANTS.items():
        rows = connection.execute(text(f"select * from ({query}) broken limit 10")).all()
        if rows:
            broken.append(Violation(name, tuple(tuple(row) for row in rows)))
    return broken
