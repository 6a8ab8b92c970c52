"""How postings of a tenant's own accounts count, in SQL: the one place that says how.

A posting counts under the label in force of its entry, or of the entry that it takes back. Where
the label splits the entry it counts part by part, a row each. `total` keeps the same up by month
(`posting_added`, `label_added`); whoever asks for other days, for single postings or for what was
known once, asks through this, so that all of them count alike.
"""

# coalesce() would not do: it is not leakproof, and so no condition of an index.
_OF = "case when e.reverses is null then e.id else e.reverses end"

_LABEL = f"""
left join lateral (select l.number, l.category, l.flow from finora.label l
  where l.tenant_id = p.tenant_id and l.entry_id = {_OF} {{known}}
  order by l.number desc limit 1) l on true
"""
# Most books have no split, and need not be asked for the parts of each posting.
_PARTS = f"""
left join lateral (
  select s.part, s.category, case when e.reverses is null then s.units else -s.units end as units
  from finora.label_part s where (select exists (select from finora.label_part))
    and s.tenant_id = p.tenant_id and s.entry_id = {_OF} and s.number = l.number
) s on true
"""
LABEL = _LABEL.format(known="")
"""Beside `posting p` and its `entry e`: what is said of the whole of it."""
LABELLED = LABEL + _PARTS
"""Beside the same: a row for each part that CATEGORY, UNITS, DIRECTION and COUNT are of."""

CATEGORY = "coalesce(s.category, l.category, '')"
UNITS = "coalesce(s.units, p.units)"
FLOW = "coalesce(l.flow, e.flow)"
DIRECTION = f"finora.direction({FLOW}, {UNITS}, e.reverses)"
COUNT = "case when e.reverses is null then 1 else -1 end"
"""A reversal takes its original away from the number of postings."""

# `offset 0` keeps entries from being joined by a scan of them all: some days have few.
_OWN = """
  from finora.account a
  join finora.posting p on p.tenant_id = a.tenant_id and p.account_id = a.id
    and p.on_date between :since and :until
  join lateral (select e.id, e.tx, e.flow, e.reverses, e.reference from finora.entry e
    where e.tenant_id = :tenant and e.id = p.entry_id offset 0) e on true {known}
"""
OWN = _OWN.format(known="") + LABELLED
"""What is read of own accounts of the days `:since` to `:until`, if `OF_OWN` holds."""
OF_OWN = "a.tenant_id = :tenant and a.kind in ('asset', 'liability')"

_MOVED = f"""
  select p.on_date as day, p.account_id, p.asset, {CATEGORY} as category, {UNITS} as units,
    {DIRECTION} as direction
"""
MOVED = f"{_MOVED} {OWN} where {OF_OWN}"
"""All that moved on them, under the labels in force."""
MOVED_AS_OF = (
    _MOVED
    + _OWN.format(known="and e.tx <= cast(:tx as xid8)")
    + _LABEL.format(known="and (l.tx is null or l.tx <= cast(:tx as xid8))")
    + f"{_PARTS} where {OF_OWN}"
)
"""The same as it was known to the transaction `:tx`."""
