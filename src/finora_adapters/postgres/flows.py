"""What moved on the accounts one owns, posting by posting: the one place that says how.

`total` keeps the same up by month (see `posting_added` and `label_added`); what asks for other
days, or for what was known once, asks for this.
"""

_MOVED = """
  select p.on_date as day, p.account_id, p.asset, coalesce(l.category, '') as category, p.units,
    finora.direction(coalesce(l.flow, e.flow), p.units, e.reverses) as direction
  from finora.account a
  join finora.posting p on p.tenant_id = a.tenant_id and p.account_id = a.id
    and p.on_date between :since and :until
  join finora.entry e on e.tenant_id = :tenant and e.id = p.entry_id {entries}
  left join lateral (select category, flow from finora.label l where l.tenant_id = :tenant
    -- coalesce() would not do: it is not leakproof, and so no condition of an index.
    and l.entry_id = case when e.reverses is null then e.id else e.reverses end {labels}
    order by number desc limit 1) l on true
  where a.tenant_id = :tenant and a.kind in ('asset', 'liability')
"""
MOVED = _MOVED.format(entries="", labels="")
"""Of the days `:since` to `:until`, under the labels in force."""
MOVED_AS_OF = _MOVED.format(
    entries="and e.tx <= cast(:tx as xid8)",
    labels="and (l.tx is null or l.tx <= cast(:tx as xid8))",
)
"""The same as it was known to the transaction `:tx`."""
