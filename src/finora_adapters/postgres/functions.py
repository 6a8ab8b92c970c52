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
    f"create domain {SCHEMA}.unit_price as numeric "
    "check (value >= 0 and value < 'Infinity'::numeric)",
)

_SAFE = f"set search_path = {SCHEMA}, pg_temp"


def _warranted(said: str) -> str:
    """Whether `finora.warrant` is the HMAC of this under a key that counts; see warrants.py."""
    mac = f"sha256(outer_pad || sha256(inner_pad || convert_to({said}, 'UTF8')))"
    return (
        f"coalesce((select bool_or(encode({mac}, 'hex') = current_setting('finora.warrant', true)) "
        "or not coalesce(bool_or(enforced), false) from warrant_key), false)"
    )


_PLACE = (
    "coalesce(current_setting('finora.tenant', true), '') || ' ' "
    "|| coalesce(current_setting('finora.user', true), '')"
)
_OF_WHOM = f"plpgsql stable parallel safe security definer {_SAFE} as $$"

# After a transaction with a local setting the value is '', not null, hence nullif.
SETTINGS = {
    name: f"""create function {SCHEMA}.{name}() returns uuid language {_OF_WHOM}
declare
  named text := nullif(current_setting('{setting}', true), '');
begin
  if named is not null and {_warranted(_PLACE)} then
    return named::uuid;
  end if;
  return null;
end $$"""
    for name, setting in (("finora_tenant", "finora.tenant"), ("finora_user", "finora.user"))
}
SEES_ALL = f"""create function {SCHEMA}.finora_control() returns boolean language {_OF_WHOM}
begin
  return {_warranted("'control'")};
end $$"""

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

# Who an identity belongs to, before anybody is known; one row, and no secret in it.
FIND_PERSON = f"""create function {SCHEMA}.find_person(
  of_kind text, of_issuer text, of_subject text)
returns table (user_id uuid, home_id uuid, identity_id uuid)
language sql stable security definer {_SAFE} as $$
  select p.user_id, p.home_id, i.id from identity i join person p on p.user_id = i.user_id
  where i.kind = of_kind and i.issuer = of_issuer and i.subject = of_subject
    and p.home_id is not null
$$"""

# Where the rows of a person lie: for administrators.
HOME_OF = f"""create function {SCHEMA}.home_of(of_user uuid) returns uuid
language sql stable security definer {_SAFE} as $$
  select home_id from person where user_id = of_user
$$"""

# Across tenants, but of the asker alone.
MY_TENANTS = f"""create function {SCHEMA}.my_tenants()
returns table (tenant_id uuid, kind text, name text, base_asset text, created_at timestamptz,
  role text)
language sql stable security definer {_SAFE} as $$
  select t.tenant_id, t.kind, t.name, t.base_asset, t.recorded_at, m.role
  from membership m join tenant t on t.tenant_id = m.tenant_id
  where m.user_id = finora_user() order by t.tenant_id
$$"""

# Across people, but of one tenant's members, and what these show each other.
MEMBERS = f"""create function {SCHEMA}.members()
returns table (user_id uuid, role text, name text, email text, since timestamptz)
language sql stable security definer {_SAFE} as $$
  select m.user_id, m.role, p.name, (
      select i.label from identity i where i.user_id = m.user_id and i.kind = 'email'
      order by i.verified_at is null, i.id limit 1), m.recorded_at
  from membership m join person p on p.user_id = m.user_id
  where m.tenant_id = finora_tenant() order by m.recorded_at, m.user_id
$$"""

# For administrators, who need no tenant. Oldest first, and from where the page before ended.
PEOPLE = f"""create function {SCHEMA}.people(after uuid, at_most int, words text)
returns table (user_id uuid, name text, email text, roles text, created_at timestamptz,
  banned_at timestamptz)
language sql stable security definer {_SAFE} as $$
  select p.user_id, p.name, e.label, p.roles, p.recorded_at, p.banned_at
  from person p left join lateral (
    select i.label from identity i where i.user_id = p.user_id and i.kind = 'email'
    order by i.verified_at is null, i.id limit 1) e on true
  where p.home_id is not null and (after is null or p.user_id > after)
    and (words = '' or strpos(lower(p.name || ' ' || coalesce(e.label, '')), lower(words)) > 0)
  order by p.user_id limit at_most
$$"""

# How guesses stand, and one more of them. Whether the subject exists makes no difference.
GUESSES = f"""create function {SCHEMA}.guesses(of_subject bytea)
returns table (failures int, locked_until timestamptz)
language sql stable security definer {_SAFE} as $$
  select g.failures, g.locked_until from guess g where g.subject = of_subject
$$"""
# After a hundred in a row the lock has no end: a reset of the password, a known device or an
# administrator takes it away.
GUESSED_WRONG = f"""create function {SCHEMA}.guessed_wrong(
  of_subject bytea, lock_after int, lock_for interval)
returns table (failures int, locked_until timestamptz)
language plpgsql security definer {_SAFE} as $$
#variable_conflict use_column
begin
  return query insert into guess as g (subject, failures) values (of_subject, 1)
    on conflict (subject) do update set failures = g.failures + 1, failed_at = clock_timestamp(),
      locked_until = case when g.failures + 1 >= 100 then 'infinity'::timestamptz
        when (g.failures + 1) % lock_after = 0 then clock_timestamp() + lock_for
        else g.locked_until end
    returning g.failures, g.locked_until;
end $$"""
GUESSED_RIGHT = f"""create function {SCHEMA}.guessed_right(of_subject bytea) returns void
language sql security definer {_SAFE} as $$
  delete from guess where subject = of_subject
$$"""

# The statement triggers below serve two rows and two million by the same plan: plpgsql plans a
# query once a session, whatever the first statement was, and under row security the planner may
# think that a large tenant has a row or two. So every look-up is fenced (`offset 0`) to be a probe
# of the key for each row, never a join with all that the tenant has; small tables are not scanned,
# for they may grow; and many rows are grouped by hash.
_ANY_SIZE = f"{_SAFE} set enable_seqscan = off set enable_sort = off"

# One statement of postings, whole: sums, references, balances, totals. Balances are locked in
# sorted order, so that two statements can wait for each other but never deadlock. All that a
# statement moves is a few groups, however many its postings are.
POSTING_ADDED = f"""create function {SCHEMA}.posting_added() returns trigger
language plpgsql security definer {_ANY_SIZE} as $$
declare
  moved record;
  checked boolean := false;
begin
  if exists (select from fresh group by tenant_id, entry_id, asset having sum(units) <> 0) then
    raise exception using errcode = 'FN001', message = 'UNBALANCED';
  end if;
  -- A split is of the whole of its entry: nothing comes after it.
  if (select exists (select from label_part)) and exists (
    select from fresh f where exists (select from label_part s
      where s.tenant_id = f.tenant_id and s.entry_id = f.entry_id)
  ) then
    raise exception using errcode = 'FN002', message = 'ENTRY_CLOSED';
  end if;
  for moved in
    select p.tenant_id, p.account_id, p.asset,
      date_trunc('month', p.on_date::timestamp)::date as month,
      coalesce(s.category, l.category, '') as category,
      direction(coalesce(l.flow, e.flow), coalesce(s.units, p.units), e.reverses) as direction,
      sum(coalesce(s.units, p.units)) as units,
      sum(case when e.reverses is null then 1 else -1 end) as postings,
      sum(sum(coalesce(s.units, p.units))) over account as change,
      row_number() over account as number,
      bool_or(bool_or(e.tx is distinct from pg_current_xact_id() or e.on_date <> p.on_date))
        over () as closed,
      bool_or(bool_or(e.reverses is not null)) over () as reversing
    from fresh p
    left join lateral (
      select * from entry e where e.tenant_id = p.tenant_id and e.id = p.entry_id offset 0
    ) e on true
    left join lateral (
      -- coalesce() of the two would not do: it is not leakproof, and so no condition of an index.
      select l.number, l.category, l.flow from label l where (select exists (select from label))
        and l.tenant_id = p.tenant_id
        and l.entry_id = case when e.reverses is null then p.entry_id else e.reverses end
      order by l.number desc limit 1
    ) l on true
    left join lateral (
      -- What was split goes back in the same parts.
      select s.category, -s.units as units from label_part s
      where (select exists (select from label_part)) and s.tenant_id = p.tenant_id
        and s.entry_id = e.reverses and s.number = l.number and exists (
          select from account a where a.tenant_id = p.tenant_id and a.id = p.account_id
            and a.kind in ('asset', 'liability')) offset 0
    ) s on true
    group by 1, 2, 3, 4, 5, 6
    window account as (partition by p.tenant_id, p.account_id, p.asset)
    order by 1, 2, 3, 4, 5, 6
  loop
    if not checked and moved.closed then
      raise exception using errcode = 'FN002', message = 'ENTRY_CLOSED';
    end if;
    if not checked and moved.reversing and exists (
      select from (select distinct tenant_id, entry_id from fresh) f
      cross join lateral (
        select * from entry e where e.tenant_id = f.tenant_id and e.id = f.entry_id
          and e.reverses is not null offset 0
      ) e
      cross join lateral (
        select * from entry o where o.tenant_id = e.tenant_id and o.id = e.reverses offset 0
      ) o
      where o.reverses is not null or o.on_date <> e.on_date or o.flow <> e.flow or exists (
        select from unnest(array[e.id, o.id]) side (entry_id)
        cross join lateral (
          select * from posting p where p.tenant_id = e.tenant_id and p.entry_id = side.entry_id
            offset 0
        ) p
        group by p.account_id, p.asset having sum(p.units) <> 0)
    ) then
      raise exception using errcode = 'FN009', message = 'BAD_REVERSAL';
    end if;
    checked := true;

    if moved.number = 1 then
      update balance b set units = b.units + moved.change where b.tenant_id = moved.tenant_id
        and b.account_id = moved.account_id and b.asset = moved.asset;
      if not found then
        -- At zero first: a floor is checked on what is proposed for insertion, too.
        insert into balance (tenant_id, account_id, asset, units, normal, floor)
          select a.tenant_id, a.id, moved.asset, 0, a.normal, a.floor from account a
          where a.tenant_id = moved.tenant_id and a.id = moved.account_id
          on conflict do nothing;
        update balance b set units = b.units + moved.change where b.tenant_id = moved.tenant_id
          and b.account_id = moved.account_id and b.asset = moved.asset;
        if not found then
          raise exception using errcode = 'FN003', message = 'ACCOUNT_NOT_FOUND';
        end if;
      end if;
    end if;
    insert into total as t
        (tenant_id, month, account_id, asset, category, direction, units, postings)
      select moved.tenant_id, moved.month, moved.account_id, moved.asset, moved.category,
        moved.direction, moved.units, moved.postings
      from account a where a.tenant_id = moved.tenant_id and a.id = moved.account_id
        and a.kind in ('asset', 'liability')
      on conflict (tenant_id, month, account_id, asset, category, direction)
      do update set units = t.units + excluded.units, postings = t.postings + excluded.postings;
  end loop;
  return null;
end $$"""

# A reversal counts where its original counted, with the other sign.
DIRECTION = f"""create function {SCHEMA}.direction(flow text, units numeric, reverses uuid)
returns text language sql immutable parallel safe return case
  when flow <> 'flow' then flow
  when (units > 0) = (reverses is null) then 'in' else 'out' end"""

# A new label moves what its entry, and the entry's reversal, have in the totals; one with parts
# moves it part by part. A label that is written before the entry's postings moves nothing: they
# will count under it from the start. Parts are written before their label, and after the postings.
LABEL_ADDED = f"""create function {SCHEMA}.label_added() returns trigger
language plpgsql security definer {_ANY_SIZE} as $$
begin
  if exists (
    select from fresh l where (
      select e.reverses is null from entry e where e.tenant_id = l.tenant_id and e.id = l.entry_id
    ) is not true
  ) then
    raise exception using errcode = 'FN004', message = 'ENTRY_NOT_FOUND';
  end if;
  if (select exists (select from label_part)) and exists (
    select from fresh l
    cross join lateral (
      select sum(s.units) as units from label_part s where s.tenant_id = l.tenant_id
        and s.entry_id = l.entry_id and s.number = l.number
    ) parts
    cross join lateral (
      select case when count(*) = 1 then sum(p.units) end as units from posting p
      where p.tenant_id = l.tenant_id and p.entry_id = l.entry_id and exists (
        select from account a where a.tenant_id = p.tenant_id and a.id = p.account_id
          and a.kind in ('asset', 'liability'))
    ) whole
    where parts.units is not null and parts.units is distinct from whole.units
  ) then
    raise exception using errcode = 'FN010', message = 'BAD_SPLIT';
  end if;
  insert into total as t (tenant_id, account_id, asset, month, category, direction, units, postings)
    select p.tenant_id, p.account_id, p.asset, date_trunc('month', p.on_date::timestamp)::date,
      s.category, direction(s.flow, s.units, e.reverses),
      sum(s.sign * s.units), sum(s.sign * case when e.reverses is null then 1 else -1 end)
    from fresh l
    cross join lateral (
      select * from entry e where e.tenant_id = l.tenant_id and e.id = l.entry_id
      union all
      select * from entry e where e.tenant_id = l.tenant_id and e.reverses = l.entry_id
    ) e
    cross join lateral (
      select * from posting p where p.tenant_id = e.tenant_id and p.entry_id = e.id offset 0
    ) p
    cross join lateral (
      select from account a where a.tenant_id = p.tenant_id and a.id = p.account_id
        and a.kind in ('asset', 'liability') offset 0
    ) a
    left join lateral (
      select * from label prior where prior.tenant_id = l.tenant_id
        and prior.entry_id = l.entry_id and prior.number = l.number - 1 offset 0
    ) prior on true
    cross join lateral (values
      (-1, l.number - 1, coalesce(prior.category, ''), coalesce(prior.flow, e.flow)),
      (1, l.number::int, l.category, l.flow)
    ) said (sign, number, category, flow)
    cross join lateral (
      select said.sign, said.flow, coalesce(part.category, said.category) as category,
        coalesce(case when e.reverses is null then part.units else -part.units end, p.units)
          as units
      from (select) whole left join lateral (
        select k.category, k.units from label_part k
        where (select exists (select from label_part)) and k.tenant_id = l.tenant_id
          and k.entry_id = l.entry_id and k.number = said.number offset 0
      ) part on true
    ) s
    group by 1, 2, 3, 4, 5, 6 order by 1, 2, 3, 4, 5, 6
    on conflict (tenant_id, month, account_id, asset, category, direction)
    do update set units = t.units + excluded.units, postings = t.postings + excluded.postings;
  -- Whatever is used is in the list of categories.
  insert into category (tenant_id, name)
    select tenant_id, name from (
      select l.tenant_id, l.category as name from fresh l
      union
      select s.tenant_id, s.category from fresh l cross join lateral (
        select * from label_part s where s.tenant_id = l.tenant_id and s.entry_id = l.entry_id
          and s.number = l.number offset 0) s
    ) used
    where length(name) between 1 and 200 and not exists (
      select from category c where c.tenant_id = used.tenant_id and c.name = used.name)
    order by 1, 2 on conflict do nothing;
  -- A rule learns how often a person knew better.
  update rule r set overridden = r.overridden + o.times from (
    select l.tenant_id, prior.rule_id, count(*) as times
    from fresh l cross join lateral (
      select * from label prior where prior.tenant_id = l.tenant_id
        and prior.entry_id = l.entry_id and prior.number = l.number - 1
        and prior.rule_id is not null offset 0
    ) prior
    where l.source = 'human' and (l.category <> prior.category or exists (
      select from label_part s where s.tenant_id = l.tenant_id and s.entry_id = l.entry_id
        and s.number in (l.number, prior.number)))
    group by 1, 2
  ) o where r.tenant_id = o.tenant_id and r.id = o.rule_id;
  return null;
end $$"""

# Parts that came after their label would be in no total.
LABEL_PART_ADDED = f"""create function {SCHEMA}.label_part_added() returns trigger
language plpgsql security definer {_ANY_SIZE} as $$
begin
  if exists (
    select from fresh s where exists (select from label l where l.tenant_id = s.tenant_id
      and l.entry_id = s.entry_id and l.number = s.number)
  ) then
    raise exception using errcode = 'FN010', message = 'BAD_SPLIT';
  end if;
  return null;
end $$"""

# The last closed day of the tenant; null where nothing is closed.
CLOSED_THROUGH = f"""create function {SCHEMA}.closed_through() returns date
language sql stable {_SAFE} as $$
  select through from closing where tenant_id = finora_tenant() order by number desc limit 1
$$"""

# Closing waits for all who hold this lock, and they for it: so a transaction posts and labels
# either wholly before a closing or wholly after it. One that began before it and comes after it
# has the smaller number and would seem to have been known at the closing; it begins again.
_CLOSED = f"""language plpgsql security definer {_ANY_SIZE} as $$
declare
  last record;
begin
  perform pg_advisory_xact_lock_shared(hashtextextended(finora_tenant()::text, 2));
  select through, tx into last from closing where tenant_id = finora_tenant()
    order by number desc limit 1;
  if last.tx > pg_current_xact_id() then
    raise exception using errcode = 'FN011', message = 'CLOSED_MEANWHILE';
  end if;
  if last.through is not null and exists (select from {{touched}} <= last.through) then
    raise exception using errcode = 'FN012', message = 'PERIOD_CLOSED', detail = last.through::text;
  end if;
  return null;
end $$"""

# Named so that they run first: a balance is locked after the closing, by everybody.
CLOSED_TO_POSTINGS = f"create function {SCHEMA}.closed_to_postings() returns trigger\n" + (
    _CLOSED.format(touched="fresh where on_date")
)
CLOSED_TO_LABELS = f"create function {SCHEMA}.closed_to_labels() returns trigger\n" + (
    _CLOSED.format(
        touched="fresh l cross join lateral (select * from entry e "
        "where e.tenant_id = l.tenant_id and e.id = l.entry_id offset 0) e where e.on_date"
    )
)

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
language plpgsql security definer {_ANY_SIZE} as $$
begin
  if exists (
    select from (select distinct tenant_id, account_id from fresh) r where (
      select a.id from account a where a.tenant_id = r.tenant_id and a.id = r.account_id) is null
  ) then
    raise exception using errcode = 'FN003', message = 'ACCOUNT_NOT_FOUND';
  end if;
  if exists (
    select from fresh r where r.entry_id is not null and (
      select e.id from entry e where e.tenant_id = r.tenant_id and e.id = r.entry_id) is null
  ) then
    raise exception using errcode = 'FN004', message = 'ENTRY_NOT_FOUND';
  end if;
  return null;
end $$"""

# What a record said before is kept, whoever changes it. How its review stands, and who may write
# what, is not what it says.
RECORD_CHANGED = f"""create function {SCHEMA}.record_changed() returns trigger
language plpgsql security definer {_SAFE} as $$
begin
  if (old.account_id, old.on_date, old.units, old.asset, old.description, old.counterparty,
      old.bank_id, old.bank_state, old.void, old.edited, old.entry_id, old.merchant, old.note,
      old.tags)
    is not distinct from
     (new.account_id, new.on_date, new.units, new.asset, new.description, new.counterparty,
      new.bank_id, new.bank_state, new.void, new.edited, new.entry_id, new.merchant, new.note,
      new.tags)
  then
    return new;
  end if;
  insert into revision (tenant_id, record_id, number, account_id, on_date, units, asset,
      description, counterparty, bank_id, bank_state, status, void, edited, entry_id, replaced_by,
      merchant, note, tags)
    values (old.tenant_id, old.id, old.revision, old.account_id, old.on_date, old.units, old.asset,
      old.description, old.counterparty, old.bank_id, old.bank_state, old.status, old.void,
      old.edited, old.entry_id, finora_user(), old.merchant, old.note, old.tags);
  new.revision := old.revision + 1;
  return new;
end $$"""

# A person who leaves takes facts along, with all else of the tenant. The trigger runs as the role
# that its statement is run by.
REFUSE_CHANGE = f"""create function {SCHEMA}.refuse_change() returns trigger
language plpgsql {_SAFE} as $$
begin
  if tg_op = 'DELETE' and current_user = 'finora_eraser' then
    return null;
  end if;
  raise exception using errcode = 'FN008', message = 'FACT_IMMUTABLE';
end $$"""

# Wakes the relays; told at commit, and once a transaction however many jobs it made.
JOB_ADDED = f"""create function {SCHEMA}.job_added() returns trigger
language plpgsql {_SAFE} as $$
begin
  perform pg_notify('finora_job', '');
  return null;
end $$"""

FUNCTIONS = (
    *SETTINGS.values(),
    SEES_ALL,
    DIRECTION,
    OPEN_TENANT,
    FIND_PERSON,
    HOME_OF,
    MY_TENANTS,
    MEMBERS,
    PEOPLE,
    GUESSES,
    GUESSED_WRONG,
    GUESSED_RIGHT,
    CLOSED_THROUGH,
    CLOSED_TO_POSTINGS,
    CLOSED_TO_LABELS,
    POSTING_ADDED,
    LABEL_ADDED,
    LABEL_PART_ADDED,
    HOLD_ADDED,
    HOLD_ENDED,
    LOCK_BALANCES,
    RECORD_ADDED,
    RECORD_CHANGED,
    REFUSE_CHANGE,
    JOB_ADDED,
)

_FACTS = ("entry", "posting", "hold", "hold_end", "label", "label_part", "event", "seal",
          "sighting", "observation", "revision", "asset", "opening", "decision", "fx_rate",
          "closing", "price", "price_pair", "price_load", "price_absence", "price_action",
          "asset_identity", "asset_name", "asset_verdict",
          "activity", "activity_end", "holding_observation", "own_price",
          "data_use")  # fmt: skip


def _trigger(name: str, when: str, table: str, body: str, function: str) -> str:
    return (
        f"create trigger {name} {when} on {SCHEMA}.{table} {body} "
        f"execute function {SCHEMA}.{function}()"
    )


_EACH = "referencing new table as fresh for each statement"

TRIGGERS = (
    _trigger("closed_to_postings", "after insert", "posting", _EACH, "closed_to_postings"),
    _trigger("closed_to_labels", "after insert", "label", _EACH, "closed_to_labels"),
    _trigger("posting_added", "after insert", "posting", _EACH, "posting_added"),
    _trigger("label_added", "after insert", "label", _EACH, "label_added"),
    _trigger("label_part_added", "after insert", "label_part", _EACH, "label_part_added"),
    _trigger("record_added", "after insert", "record", _EACH, "record_added"),
    _trigger("record_moved", "after update", "record", _EACH, "record_added"),
    _trigger("record_changed", "before update", "record", "for each row", "record_changed"),
    _trigger("hold_added", "after insert", "hold", "for each row", "hold_added"),
    _trigger("hold_ended", "after insert", "hold_end", "for each row", "hold_ended"),
    _trigger("job_added", "after insert", "job", "for each statement", "job_added"),
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
    "closed_through()",
    "open_tenant(text, text, uuid, uuid)",
    "find_person(text, text, text)",
    "home_of(uuid)",
    "my_tenants()",
    "members()",
    "people(uuid, integer, text)",
    "guesses(bytea)",
    "guessed_wrong(bytea, integer, interval)",
    "guessed_right(bytea)",
    "lock_balances(uuid[], text[])",
)


def access_statements() -> list[str]:
    """Nobody but the run-time roles calls our functions, and those only the named ones."""
    revoke = f"revoke all on all functions in schema {SCHEMA} from public"
    calls = ", ".join(f"{SCHEMA}.{signature}" for signature in CALLABLE)
    return [
        revoke,
        f"grant execute on function {calls} to finora_api, finora_worker",
        # What its policies ask.
        f"grant execute on function {SCHEMA}.finora_tenant(), {SCHEMA}.finora_user() "
        "to finora_eraser",
        f"grant execute on function {SCHEMA}.finora_control() to finora_control",
    ]
