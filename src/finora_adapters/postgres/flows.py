"""How a posting of a tenant's own account counts, in SQL: by the label in force, or by its parts.

For queries over `posting p` joined with its `entry e`, on accounts that are assets or liabilities:
a split posting becomes a row a part. What reads flows and not totals reads them through this, so
that both count alike.
"""

LABELLED = """
left join lateral (select number, category, flow from finora.label l
  where l.tenant_id = p.tenant_id and l.entry_id = coalesce(e.reverses, e.id)
  order by number desc limit 1) l on true
left join lateral (
  select s.category, case when e.reverses is null then s.units else -s.units end as units
  from finora.label_part s where s.tenant_id = p.tenant_id
    and s.entry_id = coalesce(e.reverses, e.id) and s.number = l.number
) s on true
"""
CATEGORY = "coalesce(s.category, l.category, '')"
UNITS = "coalesce(s.units, p.units)"
DIRECTION = f"finora.direction(coalesce(l.flow, e.flow), {UNITS}, e.reverses)"
