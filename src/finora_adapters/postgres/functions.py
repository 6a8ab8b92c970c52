"""The rules that the database itself keeps: domains, definer functions, statement triggers.

A trigger raises with a SQLSTATE of class FN and the refusal's public code as its message;
`errors.py` turns it into that refusal.
"""

from finora_adapters.postgres.schema import SCHEMA

DOMAINS = (
    # numeric(78,0) would round 1.5 to 2 before any check, and take NaN.
    f"create domain {SCHEMA}.money_units as numeric "
    "check (value = trunc(value) and value > -1e78 and value < 1e78)",
    f"create domain {SCHEMA}.rate as numeric check (value > 0 and value < 'Infinity'::numeric)",
)

_SAFE = f"set search_path = {SCHEMA}, pg_temp"

# After a transaction with a local setting the value is '', not null, hence nullif.
SETTINGS = {
    name: f"""create function {SCHEMA}.{name}() returns uuid language sql stable parallel safe
return nullif(current_setting('{setting}', true), '')::uuid"""
    for name, setting in (("finora_tenant", "finora.tenant"), ("finora_user", "finora.user"))
}

# Before a tenant is known nobody sees one, so this runs as the owner and returns one row. `host_`
# keys are the embedding program's own names of its tenants and users.
OPEN_TENANT = f"""create function {SCHEMA}.open_tenant(
  host_tenant text, host_user text, new_tenant uuid, new_user uuid)
returns table (tenant_id uuid, user_id uuid) language plpgsql security definer {_SAFE} as $$
#variable_conflict use_column
begin
  insert into tenant (tenant_id, key) values (new_tenant, host_tenant)
    on conflict (key) do nothing;
  insert into person (user_id, key) values (new_user, host_user) on conflict (key) do nothing;
  insert into membership (tenant_id, user_id)
    select t.tenant_id, p.user_id from tenant t, person p
    where t.key = host_tenant and p.key = host_user
    on conflict do nothing;
  return query select t.tenant_id, p.user_id from tenant t, person p
    where t.key = host_tenant and p.key = host_user;
end $$"""

# One statement of postings, whole: sums, references, balances, totals. Balances are locked in
# sorted order, so that two statements can wait for each other but never deadlock.
POSTING_ADDED = f"""create function {SCHEMA}.posting_added() returns trigger
language plpgsql security definer {_SAFE} as $$
declare
  closed boolean;
  reversing boolean;
  touched bigint;
  moved bigint;
begin
  if exists (select from fresh group by tenant_id, entry_id, asset having sum(units) <> 0) then
    raise exception using errcode = 'FN001', message = 'UNBALANCED';
  end if;
  select bool_or(e.tx is distinct from pg_current_xact_id() or e.on_date <> p.on_date),
      bool_or(e.reverses is not null) into closed, reversing
    from fresh p left join entry e on e.tenant_id = p.tenant_id and e.id = p.entry_id;
  if closed then
    raise exception using errcode = 'FN002', message = 'ENTRY_CLOSED';
  end if;
  if reversing and exists (
    select from (select distinct tenant_id, entry_id from fresh) f
    join entry e on e.tenant_id = f.tenant_id and e.id = f.entry_id and e.reverses is not null
    join entry o on o.tenant_id = e.tenant_id and o.id = e.reverses
    where o.reverses is not null or o.on_date <> e.on_date or o.flow <> e.flow or exists (
      select from posting p where p.tenant_id = e.tenant_id and p.entry_id in (e.id, o.id)
      group by p.account_id, p.asset having sum(p.units) <> 0)
  ) then
    raise exception using errcode = 'FN009', message = 'BAD_REVERSAL';
  end if;

  insert into balance (tenant_id, account_id, asset, units, normal, floor)
    select a.tenant_id, a.id, p.asset, 0, a.normal, a.floor
    from (select distinct tenant_id, account_id, asset from fresh) p
    join account a on a.tenant_id = p.tenant_id and a.id = p.account_id
    where not exists (select from balance b
      where b.tenant_id = p.tenant_id and b.account_id = p.account_id and b.asset = p.asset)
    order by a.id, p.asset
    on conflict do nothing;
  with change as (
    select tenant_id, account_id, asset, sum(units) as units from fresh group by 1, 2, 3
  ), locked as (
    select b.tenant_id, b.account_id, b.asset, c.units from balance b
    join change c on c.tenant_id = b.tenant_id and c.account_id = b.account_id
      and c.asset = b.asset
    order by b.account_id, b.asset for no key update of b
  )
  update balance b set units = b.units + l.units from locked l
    where b.tenant_id = l.tenant_id and b.account_id = l.account_id and b.asset = l.asset;
  get diagnostics moved = row_count;
  select count(*) into touched from (select distinct tenant_id, account_id, asset from fresh) d;
  if moved <> touched then
    raise exception using errcode = 'FN003', message = 'ACCOUNT_NOT_FOUND';
  end if;

  insert into total as t (tenant_id, month, account_id, asset, category, direction, units, postings)
    select p.tenant_id, date_trunc('month', p.on_date)::date, p.account_id, p.asset,
      coalesce(l.category, ''), direction(coalesce(l.flow, e.flow), p.units, e.reverses),
      sum(p.units), sum(case when e.reverses is null then 1 else -1 end)
    from fresh p
    join account a on a.tenant_id = p.tenant_id and a.id = p.account_id
      and a.kind in ('asset', 'liability')
    join entry e on e.tenant_id = p.tenant_id and e.id = p.entry_id
    left join lateral (
      select category, flow from label l
      where l.tenant_id = e.tenant_id and l.entry_id = coalesce(e.reverses, e.id)
      order by number desc limit 1
    ) l on true
    group by 1, 2, 3, 4, 5, 6 order by 1, 2, 3, 4, 5, 6
    on conflict (tenant_id, month, account_id, asset, category, direction)
    do update set units = t.units + excluded.units, postings = t.postings + excluded.postings;
  return null;
end $$"""

# A reversal counts where its original counted, with the other sign.
DIRECTION = f"""create function {SCHEMA}.direction(flow text, units numeric, reverses uuid)
returns text language sql immutable parallel safe return case
  when flow <> 'flow' then flow
  when (units > 0) = (reverses is null) then 'in' else 'out' end"""

# A new label moves what its entry, and the entry's reversal, have in the totals. A label that is
# written before the entry's postings moves nothing: they will count under it from the start.
LABEL_ADDED = f"""create function {SCHEMA}.label_added() returns trigger
language plpgsql security definer {_SAFE} as $$
begin
  if exists (
    select from fresh l where not exists (select from entry e
      where e.tenant_id = l.tenant_id and e.id = l.entry_id and e.reverses is null)
  ) then
    raise exception using errcode = 'FN004', message = 'ENTRY_NOT_FOUND';
  end if;
  insert into total as t (tenant_id, month, account_id, asset, category, direction, units, postings)
    select p.tenant_id, date_trunc('month', p.on_date)::date, p.account_id, p.asset,
      s.category, direction(s.flow, p.units, e.reverses),
      sum(s.sign * p.units), sum(s.sign * case when e.reverses is null then 1 else -1 end)
    from fresh l
    join entry e on e.tenant_id = l.tenant_id and (e.id = l.entry_id or e.reverses = l.entry_id)
    join posting p on p.tenant_id = e.tenant_id and p.entry_id = e.id
    join account a on a.tenant_id = p.tenant_id and a.id = p.account_id
      and a.kind in ('asset', 'liability')
    left join label prior on prior.tenant_id = l.tenant_id and prior.entry_id = l.entry_id
      and prior.number = l.number - 1
    cross join lateral (values
      (-1, coalesce(prior.category, ''), coalesce(prior.flow, e.flow)), (1, l.category, l.flow)
    ) s (sign, category, flow)
    group by 1, 2, 3, 4, 5, 6 order by 1, 2, 3, 4, 5, 6
    on conflict (tenant_id, month, account_id, asset, category, direction)
    do update set units = t.units + excluded.units, postings = t.postings + excluded.postings;
  return null;
end $$"""

HOLD_ADDED = f"""create function {SCHEMA}.hold_added() returns trigger
language plpgsql security definer {_SAFE} as $$
begin
  insert into balance (tenant_id, account_id, asset, units, normal, floor)
    select a.tenant_id, a.id, new.asset, 0, a.normal, a.floor from account a
    where a.tenant_id = new.tenant_id and a.id = new.account_id
    on conflict do nothing;
  update balance b set held = b.held + new.units
    where b.tenant_id = new.tenant_id and b.account_id = new.account_id and b.asset = new.asset;
  return null;
end $$"""

HOLD_ENDED = f"""create function {SCHEMA}.hold_ended() returns trigger
language plpgsql security definer {_SAFE} as $$
declare
  held_by hold;
begin
  select * into held_by from hold h where h.tenant_id = new.tenant_id and h.id = new.hold_id;
  if new.units > held_by.units then
    raise exception using errcode = 'FN005', message = 'HOLD_EXCEEDED';
  end if;
  -- The database's clock decides, at the moment of the act and not of the transaction's start.
  if new.outcome = 'posted' and held_by.expires_at <= clock_timestamp() then
    raise exception using errcode = 'FN006', message = 'HOLD_EXPIRED';
  end if;
  if new.outcome = 'expired' and coalesce(held_by.expires_at > clock_timestamp(), true) then
    raise exception using errcode = 'FN007', message = 'HOLD_NOT_EXPIRED';
  end if;
  update balance b set held = b.held - held_by.units
    where b.tenant_id = held_by.tenant_id and b.account_id = held_by.account_id
      and b.asset = held_by.asset;
  return null;
end $$"""

# A hold ends in two steps that each lock balances: it gives its own free, then the entry that pays
# it moves others. All are locked before the first, in the order in which postings lock; without
# this, two payments between the same accounts could each wait for the other.
LOCK_BALANCES = f"""create function {SCHEMA}.lock_balances(accounts uuid[], assets text[])
returns void language plpgsql security definer {_SAFE} as $$
begin
  perform from balance b join unnest(accounts, assets) as wanted (account_id, asset)
    on b.account_id = wanted.account_id and b.asset = wanted.asset
    where b.tenant_id = finora_tenant()
    order by b.account_id, b.asset for no key update of b;
end $$"""

RECORD_ADDED = f"""create function {SCHEMA}.record_added() returns trigger
language plpgsql security definer {_SAFE} as $$
begin
  if exists (
    select from (select distinct tenant_id, account_id from fresh) r where not exists (
      select from account a where a.tenant_id = r.tenant_id and a.id = r.account_id)
  ) then
    raise exception using errcode = 'FN003', message = 'ACCOUNT_NOT_FOUND';
  end if;
  if exists (
    select from fresh r where r.entry_id is not null and not exists (
      select from entry e where e.tenant_id = r.tenant_id and e.id = r.entry_id)
  ) then
    raise exception using errcode = 'FN004', message = 'ENTRY_NOT_FOUND';
  end if;
  return null;
end $$"""

# What a record said before is kept, whoever changes it.
RECORD_CHANGED = f"""create function {SCHEMA}.record_changed() returns trigger
language plpgsql security definer {_SAFE} as $$
begin
  insert into revision (tenant_id, record_id, number, account_id, on_date, units, asset,
      description, counterparty, bank_id, bank_state, status, void, edited, entry_id, replaced_by)
    values (old.tenant_id, old.id, old.revision, old.account_id, old.on_date, old.units, old.asset,
      old.description, old.counterparty, old.bank_id, old.bank_state, old.status, old.void,
      old.edited, old.entry_id, finora_user());
  new.revision := old.revision + 1;
  return new;
end $$"""

REFUSE_CHANGE = f"""create function {SCHEMA}.refuse_change() returns trigger
language plpgsql {_SAFE} as $$
begin
  raise exception using errcode = 'FN008', message = 'FACT_IMMUTABLE';
end $$"""

FUNCTIONS = (
    *SETTINGS.values(),
    DIRECTION,
    OPEN_TENANT,
    POSTING_ADDED,
    LABEL_ADDED,
    HOLD_ADDED,
    HOLD_ENDED,
    LOCK_BALANCES,
    RECORD_ADDED,
    RECORD_CHANGED,
    REFUSE_CHANGE,
)

_FACTS = ("entry", "posting", "hold", "hold_end", "label", "event", "seal", "sighting",
          "observation", "revision", "asset", "opening")  # fmt: skip


def _trigger(name: str, when: str, table: str, body: str, function: str) -> str:
    return (
        f"create trigger {name} {when} on {SCHEMA}.{table} {body} "
        f"execute function {SCHEMA}.{function}()"
    )


_EACH = "referencing new table as fresh for each statement"

TRIGGERS = (
    _trigger("posting_added", "after insert", "posting", _EACH, "posting_added"),
    _trigger("label_added", "after insert", "label", _EACH, "label_added"),
    _trigger("record_added", "after insert", "record", _EACH, "record_added"),
    _trigger("record_moved", "after update", "record", _EACH, "record_added"),
    _trigger("record_changed", "before update", "record", "for each row", "record_changed"),
    _trigger("hold_added", "after insert", "hold", "for each row", "hold_added"),
    _trigger("hold_ended", "after insert", "hold_end", "for each row", "hold_ended"),
    *(
        _trigger(f"{table}_fixed", "before update or delete or truncate", table,
                 "for each statement", "refuse_change")
        for table in _FACTS
    ),
)  # fmt: skip

# The definer functions that run-time roles may call; triggers need no grant.
CALLABLE = (
    "finora_tenant()",
    "finora_user()",
    "direction(text, numeric, uuid)",
    "open_tenant(text, text, uuid, uuid)",
    "lock_balances(uuid[], text[])",
)


def access_statements() -> list[str]:
    """Nobody but the run-time roles calls our functions, and those only the named ones."""
    revoke = f"revoke all on all functions in schema {SCHEMA} from public"
    calls = ", ".join(f"{SCHEMA}.{signature}" for signature in CALLABLE)
    return [revoke, f"grant execute on function {calls} to finora_api, finora_worker"]
