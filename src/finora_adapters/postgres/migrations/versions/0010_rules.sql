alter table finora.label add column rule_id uuid;

alter table finora.record
  add column merchant text,
  add column note text not null default '',
  add column tags text not null default '',
  add column locked text not null default '';

alter table finora.revision
  add column merchant text,
  add column note text not null default '',
  add column tags text not null default '';

CREATE TABLE finora.category (
	tenant_id UUID NOT NULL,
	name TEXT NOT NULL,
	note TEXT DEFAULT '' NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	archived_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT category_pkey PRIMARY KEY (tenant_id, name),
	CONSTRAINT category_name_check CHECK (length(name) between 1 and 200)
);

CREATE TABLE finora.rule_group (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	name TEXT NOT NULL,
	priority INTEGER NOT NULL,
	stop BOOLEAN NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT rule_group_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT rule_group_tenant_id_name_key UNIQUE (tenant_id, name),
	CONSTRAINT rule_group_name_check CHECK (length(name) between 1 and 200)
);

CREATE TABLE finora.rule_run (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	state TEXT DEFAULT 'waiting' NOT NULL,
	wanted JSONB NOT NULL,
	rules JSONB NOT NULL,
	last_id UUID,
	examined BIGINT DEFAULT '0' NOT NULL,
	matched BIGINT DEFAULT '0' NOT NULL,
	changed BIGINT DEFAULT '0' NOT NULL,
	locked BIGINT DEFAULT '0' NOT NULL,
	restored BIGINT DEFAULT '0' NOT NULL,
	kept BIGINT DEFAULT '0' NOT NULL,
	asked_by UUID NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT rule_run_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT rule_run_state_check CHECK (state in ('waiting', 'done', 'undoing', 'undone'))
);

CREATE TABLE finora.label_part (
	tenant_id UUID NOT NULL,
	entry_id UUID NOT NULL,
	number SMALLINT NOT NULL,
	part SMALLINT NOT NULL,
	category TEXT NOT NULL,
	units finora.money_units NOT NULL,
	CONSTRAINT label_part_pkey PRIMARY KEY (tenant_id, entry_id, number, part),
	CONSTRAINT label_part_label_fkey FOREIGN KEY(tenant_id, entry_id, number) REFERENCES finora.label (tenant_id, entry_id, number) DEFERRABLE INITIALLY DEFERRED,
	CONSTRAINT label_part_units_check CHECK (units <> 0)
);

CREATE TABLE finora.rule (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	group_id UUID,
	name TEXT NOT NULL,
	condition JSONB NOT NULL,
	actions JSONB NOT NULL,
	priority INTEGER NOT NULL,
	continues BOOLEAN NOT NULL,
	active BOOLEAN NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	hits BIGINT DEFAULT '0' NOT NULL,
	last_hit_at TIMESTAMP WITH TIME ZONE,
	overridden BIGINT DEFAULT '0' NOT NULL,
	CONSTRAINT rule_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT rule_rule_group_fkey FOREIGN KEY(tenant_id, group_id) REFERENCES finora.rule_group (tenant_id, id),
	CONSTRAINT rule_name_check CHECK (length(name) between 1 and 200)
);

CREATE TABLE finora.rule_change (
	tenant_id UUID NOT NULL,
	run_id UUID NOT NULL,
	record_id UUID NOT NULL,
	field TEXT NOT NULL,
	rule_id UUID NOT NULL,
	before JSONB NOT NULL,
	after JSONB NOT NULL,
	kind TEXT NOT NULL,
	CONSTRAINT rule_change_pkey PRIMARY KEY (tenant_id, run_id, record_id, field),
	CONSTRAINT rule_change_rule_run_fkey FOREIGN KEY(tenant_id, run_id) REFERENCES finora.rule_run (tenant_id, id),
	CONSTRAINT rule_change_kind_check CHECK (kind in ('changed', 'locked', 'restored', 'kept'))
);

-- Whatever labels use is in the list. The owner sees all tenants for this moment.
alter table finora.label no force row level security;
insert into finora.category (tenant_id, name)
  select distinct tenant_id, category from finora.label where length(category) between 1 and 200;
alter table finora.label force row level security;

create or replace function finora.posting_added() returns trigger
language plpgsql security definer set search_path = finora, pg_temp set enable_seqscan = off set enable_sort = off as $$
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
end $$;

create or replace function finora.label_added() returns trigger
language plpgsql security definer set search_path = finora, pg_temp set enable_seqscan = off set enable_sort = off as $$
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
end $$;

create or replace function finora.record_changed() returns trigger
language plpgsql security definer set search_path = finora, pg_temp as $$
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
end $$;

create function finora.label_part_added() returns trigger
language plpgsql security definer set search_path = finora, pg_temp set enable_seqscan = off set enable_sort = off as $$
begin
  if exists (
    select from fresh s where exists (select from label l where l.tenant_id = s.tenant_id
      and l.entry_id = s.entry_id and l.number = s.number)
  ) then
    raise exception using errcode = 'FN010', message = 'BAD_SPLIT';
  end if;
  return null;
end $$;

create trigger label_part_added after insert on finora.label_part referencing new table as fresh for each statement execute function finora.label_part_added();

create trigger label_part_fixed before update or delete or truncate on finora.label_part for each statement execute function finora.refuse_change();

revoke all on all functions in schema finora from public;

grant execute on function finora.finora_tenant(), finora.finora_user(), finora.direction(text, numeric, uuid), finora.open_tenant(text, text, uuid, uuid), finora.find_person(text, text, text), finora.home_of(uuid), finora.my_tenants(), finora.members(), finora.people(uuid, integer, text), finora.guesses(bytea), finora.guessed_wrong(bytea, integer, interval), finora.guessed_right(bytea), finora.lock_balances(uuid[], text[]) to finora_api, finora_worker;

grant execute on function finora.finora_tenant(), finora.finora_user() to finora_eraser;

grant select, insert (tenant_id, name, note, archived_at), update (note, archived_at) on finora.category to finora_api;

grant select (tenant_id), delete on finora.category to finora_eraser;

grant select, insert (tenant_id, name, note, archived_at), update (note, archived_at) on finora.category to finora_worker;

grant select, insert (tenant_id, entry_id, number, category, flow, source, set_by, rule_id) on finora.label to finora_api;

grant select, insert (tenant_id, entry_id, number, category, flow, source, set_by, rule_id) on finora.label to finora_worker;

grant select, insert on finora.label_part to finora_api;

grant select (tenant_id), delete on finora.label_part to finora_eraser;

grant select, insert on finora.label_part to finora_worker;

grant select, insert (tenant_id, id, received_account_id, identity, occurrence, import_id, place, source, raw, account_id, on_date, units, asset, description, counterparty, merchant_key, bank_id, bank_state, status, void, edited, entry_id, revision, reasoning_trace, merchant, note, tags, locked), update (account_id, on_date, units, asset, description, counterparty, merchant_key, bank_id, bank_state, status, void, edited, entry_id, reasoning_trace, merchant, note, tags, locked) on finora.record to finora_api;

grant select, insert (tenant_id, id, received_account_id, identity, occurrence, import_id, place, source, raw, account_id, on_date, units, asset, description, counterparty, merchant_key, bank_id, bank_state, status, void, edited, entry_id, revision, reasoning_trace, merchant, note, tags, locked), update (account_id, on_date, units, asset, description, counterparty, merchant_key, bank_id, bank_state, status, void, edited, entry_id, reasoning_trace, merchant, note, tags, locked) on finora.record to finora_worker;

grant select, insert (tenant_id, id, group_id, name, condition, actions, priority, continues, active, hits, last_hit_at, overridden), delete, update (group_id, name, condition, actions, priority, continues, active, hits, last_hit_at) on finora.rule to finora_api;

grant select (tenant_id), delete on finora.rule to finora_eraser;

grant select, insert (tenant_id, id, group_id, name, condition, actions, priority, continues, active, hits, last_hit_at, overridden), delete, update (group_id, name, condition, actions, priority, continues, active, hits, last_hit_at) on finora.rule to finora_worker;

grant select, insert, update (kind) on finora.rule_change to finora_api;

grant select (tenant_id), delete on finora.rule_change to finora_eraser;

grant select, insert, update (kind) on finora.rule_change to finora_worker;

grant select, insert (tenant_id, id, name, priority, stop), delete, update (name, priority, stop) on finora.rule_group to finora_api;

grant select (tenant_id), delete on finora.rule_group to finora_eraser;

grant select, insert (tenant_id, id, name, priority, stop), delete, update (name, priority, stop) on finora.rule_group to finora_worker;

grant select, insert (tenant_id, id, state, wanted, rules, last_id, examined, matched, changed, locked, restored, kept, asked_by), update (state, last_id, examined, matched, changed, locked, restored, kept) on finora.rule_run to finora_api;

grant select (tenant_id), delete on finora.rule_run to finora_eraser;

grant select, insert (tenant_id, id, state, wanted, rules, last_id, examined, matched, changed, locked, restored, kept, asked_by), update (state, last_id, examined, matched, changed, locked, restored, kept) on finora.rule_run to finora_worker;

create policy category_migrator on finora.category to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy category_api on finora.category to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy category_worker on finora.category to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy category_eraser on finora.category to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy label_part_migrator on finora.label_part to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy label_part_api on finora.label_part to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy label_part_worker on finora.label_part to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy label_part_eraser on finora.label_part to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy rule_migrator on finora.rule to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy rule_api on finora.rule to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy rule_worker on finora.rule to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy rule_eraser on finora.rule to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy rule_change_migrator on finora.rule_change to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy rule_change_api on finora.rule_change to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy rule_change_worker on finora.rule_change to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy rule_change_eraser on finora.rule_change to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy rule_group_migrator on finora.rule_group to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy rule_group_api on finora.rule_group to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy rule_group_worker on finora.rule_group to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy rule_group_eraser on finora.rule_group to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy rule_run_migrator on finora.rule_run to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy rule_run_api on finora.rule_run to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy rule_run_worker on finora.rule_run to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy rule_run_eraser on finora.rule_run to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

alter table finora.category enable row level security;

alter table finora.category force row level security;

alter table finora.label_part enable row level security;

alter table finora.label_part force row level security;

alter table finora.rule enable row level security;

alter table finora.rule force row level security;

alter table finora.rule_change enable row level security;

alter table finora.rule_change force row level security;

alter table finora.rule_group enable row level security;

alter table finora.rule_group force row level security;

alter table finora.rule_run enable row level security;

alter table finora.rule_run force row level security;
