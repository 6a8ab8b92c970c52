create domain finora.money_units as numeric check (value = trunc(value) and value > -1e78 and value < 1e78);

create domain finora.rate as numeric check (value > 0 and value < 'Infinity'::numeric);

CREATE TABLE finora.asset (
	id TEXT NOT NULL,
	scale SMALLINT NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT asset_pkey PRIMARY KEY (id),
	CONSTRAINT asset_scale_check CHECK (scale between 0 and 36),
	CONSTRAINT asset_id_check CHECK (id ~ '^[A-Za-z0-9][A-Za-z0-9:/._-]{0,199}$')
);

CREATE TABLE finora.command (
	tenant_id UUID NOT NULL,
	user_id UUID NOT NULL,
	key TEXT NOT NULL,
	fingerprint BYTEA NOT NULL,
	reply BYTEA NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT command_pkey PRIMARY KEY (tenant_id, user_id, key),
	CONSTRAINT command_key_check CHECK (length(key) between 1 and 255)
);

CREATE TABLE finora.entry (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	on_date DATE NOT NULL,
	flow TEXT DEFAULT 'flow' NOT NULL,
	cause TEXT NOT NULL,
	reference TEXT,
	reverses UUID,
	rate finora.rate,
	rate_source TEXT,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	tx xid8 DEFAULT pg_current_xact_id() NOT NULL,
	CONSTRAINT entry_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT entry_entry_fkey FOREIGN KEY(tenant_id, reverses) REFERENCES finora.entry (tenant_id, id),
	CONSTRAINT entry_flow_check CHECK (flow in ('flow', 'transfer', 'opening', 'exchange')),
	CONSTRAINT entry_rate_check CHECK (flow <> 'exchange' or (rate is not null and rate_source is not null)),
	CONSTRAINT entry_reverses_check CHECK (reverses <> id)
);

CREATE UNIQUE INDEX entry_tenant_id_reverses_key ON finora.entry (tenant_id, reverses) WHERE reverses is not null;

CREATE TABLE finora.event (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	type TEXT NOT NULL,
	payload JSONB NOT NULL,
	actor UUID NOT NULL,
	request_id TEXT NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	tx xid8 DEFAULT pg_current_xact_id() NOT NULL,
	CONSTRAINT event_pkey PRIMARY KEY (tenant_id, id)
);

CREATE INDEX event_tx_idx ON finora.event (tx);

CREATE TABLE finora.label (
	tenant_id UUID NOT NULL,
	entry_id UUID NOT NULL,
	number SMALLINT NOT NULL,
	category TEXT DEFAULT '' NOT NULL,
	flow TEXT DEFAULT 'flow' NOT NULL,
	source TEXT NOT NULL,
	set_by UUID NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT label_pkey PRIMARY KEY (tenant_id, entry_id, number),
	CONSTRAINT label_flow_check CHECK (flow in ('flow', 'transfer', 'opening', 'exchange')),
	CONSTRAINT label_source_check CHECK (source in ('statement', 'match', 'rule', 'embedding', 'llm', 'human')),
	CONSTRAINT label_number_check CHECK (number > 0)
);

CREATE TABLE finora.person (
	user_id UUID NOT NULL,
	key TEXT NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT person_pkey PRIMARY KEY (user_id),
	CONSTRAINT person_key_key UNIQUE (key),
	CONSTRAINT person_key_check CHECK (length(key) between 1 and 200)
);

CREATE TABLE finora.posting (
	tenant_id UUID NOT NULL,
	entry_id UUID NOT NULL,
	line SMALLINT NOT NULL,
	account_id UUID NOT NULL,
	asset TEXT NOT NULL,
	units finora.money_units NOT NULL,
	on_date DATE NOT NULL,
	CONSTRAINT posting_pkey PRIMARY KEY (tenant_id, entry_id, line),
	CONSTRAINT posting_units_check CHECK (units <> 0)
);

CREATE INDEX posting_tenant_id_account_id_on_date_idx ON finora.posting (tenant_id, account_id, on_date) INCLUDE (asset, units);

CREATE TABLE finora.record (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	received_account_id UUID NOT NULL,
	identity UUID NOT NULL,
	occurrence INTEGER NOT NULL,
	import_id UUID,
	place BIGINT,
	source TEXT NOT NULL,
	raw TEXT,
	account_id UUID NOT NULL,
	on_date DATE NOT NULL,
	units finora.money_units NOT NULL,
	asset TEXT NOT NULL,
	description TEXT NOT NULL,
	counterparty TEXT,
	merchant_key TEXT NOT NULL,
	bank_id TEXT,
	bank_state TEXT NOT NULL,
	status TEXT DEFAULT 'received' NOT NULL,
	void BOOLEAN DEFAULT 'false' NOT NULL,
	edited BOOLEAN DEFAULT 'false' NOT NULL,
	entry_id UUID,
	revision SMALLINT DEFAULT '0' NOT NULL,
	reasoning_trace JSONB,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT record_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT record_tenant_id_received_account_id_identity_occurrence_key UNIQUE (tenant_id, received_account_id, identity, occurrence),
	CONSTRAINT record_bank_state_check CHECK (bank_state in ('pending', 'booked')),
	CONSTRAINT record_status_check CHECK (status in ('received', 'processing', 'processed', 'needs_review', 'approved', 'overridden', 'failed')),
	CONSTRAINT record_entry_check CHECK ((entry_id is not null) = (bank_state = 'booked' and not void and units <> 0))
);

CREATE INDEX record_tenant_id_on_date_id_idx ON finora.record (tenant_id, on_date, id);

CREATE TABLE finora.schema_state (
	one BOOLEAN DEFAULT true NOT NULL,
	revision TEXT NOT NULL,
	digest TEXT NOT NULL,
	migrated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT schema_state_pkey PRIMARY KEY (one),
	CONSTRAINT schema_state_one_check CHECK (one)
);

CREATE TABLE finora.seal_mark (
	one BOOLEAN DEFAULT true NOT NULL,
	below xid8 NOT NULL,
	CONSTRAINT seal_mark_pkey PRIMARY KEY (one),
	CONSTRAINT seal_mark_one_check CHECK (one)
);

CREATE TABLE finora.statement_import (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	file_name TEXT NOT NULL,
	file_key TEXT NOT NULL,
	sha256 BYTEA NOT NULL,
	bytes BIGINT NOT NULL,
	request JSONB NOT NULL,
	result JSONB,
	asked_by UUID NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT statement_import_pkey PRIMARY KEY (tenant_id, id)
);

CREATE TABLE finora.tenant (
	tenant_id UUID NOT NULL,
	key TEXT NOT NULL,
	base_asset TEXT DEFAULT 'EUR' NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT tenant_pkey PRIMARY KEY (tenant_id),
	CONSTRAINT tenant_key_key UNIQUE (key),
	CONSTRAINT tenant_key_check CHECK (length(key) between 1 and 200)
);

CREATE TABLE finora.total (
	tenant_id UUID NOT NULL,
	month DATE NOT NULL,
	account_id UUID NOT NULL,
	asset TEXT NOT NULL,
	category TEXT NOT NULL,
	direction TEXT NOT NULL,
	units finora.money_units NOT NULL,
	postings BIGINT NOT NULL,
	CONSTRAINT total_pkey PRIMARY KEY (tenant_id, month, account_id, asset, category, direction),
	CONSTRAINT total_direction_check CHECK (direction in ('in', 'out', 'transfer', 'opening', 'exchange'))
);

CREATE TABLE finora.account (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	name TEXT NOT NULL,
	kind TEXT NOT NULL,
	normal SMALLINT NOT NULL,
	floor finora.money_units,
	asset TEXT,
	owner UUID,
	opened_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT account_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT account_tenant_id_name_key UNIQUE (tenant_id, name),
	CONSTRAINT account_tenant_fkey FOREIGN KEY(tenant_id) REFERENCES finora.tenant (tenant_id),
	CONSTRAINT account_asset_fkey FOREIGN KEY(asset) REFERENCES finora.asset (id),
	CONSTRAINT account_kind_check CHECK (kind in ('asset', 'liability', 'income', 'expense', 'equity', 'outside')),
	CONSTRAINT account_normal_check CHECK (normal = case when kind in ('asset', 'expense', 'outside') then 1 else -1 end),
	CONSTRAINT account_name_check CHECK (length(name) between 1 and 200)
);

CREATE TABLE finora.job (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	name TEXT NOT NULL,
	queue TEXT NOT NULL,
	event_id UUID NOT NULL,
	user_id UUID NOT NULL,
	request_id TEXT NOT NULL,
	payload JSONB NOT NULL,
	state TEXT DEFAULT 'waiting' NOT NULL,
	attempts SMALLINT DEFAULT '0' NOT NULL,
	max_attempts SMALLINT NOT NULL,
	run_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	lease_until TIMESTAMP WITH TIME ZONE,
	epoch INTEGER DEFAULT '0' NOT NULL,
	done_parts BIGINT DEFAULT '0' NOT NULL,
	all_parts BIGINT,
	result JSONB,
	reason TEXT,
	message TEXT,
	error TEXT,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	started_at TIMESTAMP WITH TIME ZONE,
	finished_at TIMESTAMP WITH TIME ZONE,
	dismissed_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT job_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT job_event_fkey FOREIGN KEY(tenant_id, event_id) REFERENCES finora.event (tenant_id, id),
	CONSTRAINT job_state_check CHECK (state in ('waiting', 'running', 'done', 'refused', 'dead', 'paused', 'cancelled')),
	CONSTRAINT job_attempts_check CHECK (attempts between 0 and max_attempts),
	CONSTRAINT job_result_check CHECK (length(result::text) <= 65536)
);

CREATE INDEX job_ready_idx ON finora.job (run_at) WHERE state in ('waiting', 'running');

CREATE INDEX job_tenant_id_created_at_idx ON finora.job (tenant_id, created_at);

CREATE TABLE finora.membership (
	tenant_id UUID NOT NULL,
	user_id UUID NOT NULL,
	role TEXT DEFAULT 'owner' NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT membership_pkey PRIMARY KEY (tenant_id, user_id),
	CONSTRAINT membership_tenant_fkey FOREIGN KEY(tenant_id) REFERENCES finora.tenant (tenant_id),
	CONSTRAINT membership_person_fkey FOREIGN KEY(user_id) REFERENCES finora.person (user_id),
	CONSTRAINT membership_role_check CHECK (role in ('owner', 'admin', 'accountant', 'viewer'))
);

CREATE TABLE finora.revision (
	tenant_id UUID NOT NULL,
	record_id UUID NOT NULL,
	number SMALLINT NOT NULL,
	account_id UUID NOT NULL,
	on_date DATE NOT NULL,
	units finora.money_units NOT NULL,
	asset TEXT NOT NULL,
	description TEXT NOT NULL,
	counterparty TEXT,
	bank_id TEXT,
	bank_state TEXT NOT NULL,
	status TEXT NOT NULL,
	void BOOLEAN NOT NULL,
	edited BOOLEAN NOT NULL,
	entry_id UUID,
	replaced_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	replaced_by UUID NOT NULL,
	CONSTRAINT revision_pkey PRIMARY KEY (tenant_id, record_id, number),
	CONSTRAINT revision_record_fkey FOREIGN KEY(tenant_id, record_id) REFERENCES finora.record (tenant_id, id)
);

CREATE TABLE finora.seal (
	tenant_id UUID NOT NULL,
	seq BIGINT NOT NULL,
	event_id UUID NOT NULL,
	tx xid8 NOT NULL,
	hash BYTEA NOT NULL,
	sealed_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT seal_pkey PRIMARY KEY (tenant_id, seq),
	CONSTRAINT seal_tenant_id_event_id_key UNIQUE (tenant_id, event_id),
	CONSTRAINT seal_event_fkey FOREIGN KEY(tenant_id, event_id) REFERENCES finora.event (tenant_id, id),
	CONSTRAINT seal_hash_check CHECK (octet_length(hash) = 32)
);

CREATE TABLE finora.sighting (
	tenant_id UUID NOT NULL,
	account_id UUID NOT NULL,
	identity UUID NOT NULL,
	occurrence INTEGER NOT NULL,
	record_id UUID NOT NULL,
	source TEXT NOT NULL,
	import_id UUID NOT NULL,
	place BIGINT NOT NULL,
	on_date DATE NOT NULL,
	raw TEXT,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT sighting_pkey PRIMARY KEY (tenant_id, account_id, identity, occurrence),
	CONSTRAINT sighting_record_fkey FOREIGN KEY(tenant_id, record_id) REFERENCES finora.record (tenant_id, id)
);

CREATE INDEX sighting_tenant_id_record_id_idx ON finora.sighting (tenant_id, record_id);

CREATE TABLE finora.account_number (
	tenant_id UUID NOT NULL,
	number TEXT NOT NULL,
	account_id UUID NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT account_number_pkey PRIMARY KEY (tenant_id, number),
	CONSTRAINT account_number_account_fkey FOREIGN KEY(tenant_id, account_id) REFERENCES finora.account (tenant_id, id),
	CONSTRAINT account_number_number_check CHECK (length(number) between 1 and 200)
);

CREATE TABLE finora.balance (
	tenant_id UUID NOT NULL,
	account_id UUID NOT NULL,
	asset TEXT NOT NULL,
	units finora.money_units NOT NULL,
	held finora.money_units DEFAULT '0' NOT NULL,
	normal SMALLINT NOT NULL,
	floor finora.money_units,
	available finora.money_units GENERATED ALWAYS AS (normal * units - held) STORED,
	CONSTRAINT balance_pkey PRIMARY KEY (tenant_id, account_id, asset),
	CONSTRAINT balance_account_fkey FOREIGN KEY(tenant_id, account_id) REFERENCES finora.account (tenant_id, id),
	CONSTRAINT balance_asset_fkey FOREIGN KEY(asset) REFERENCES finora.asset (id),
	CONSTRAINT balance_held_check CHECK (held >= 0),
	CONSTRAINT balance_floor_check CHECK (floor is null or normal * units - held >= floor)
);

CREATE TABLE finora.hold (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	account_id UUID NOT NULL,
	asset TEXT NOT NULL,
	units finora.money_units NOT NULL,
	reference TEXT,
	expires_at TIMESTAMP WITH TIME ZONE,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT hold_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT hold_account_fkey FOREIGN KEY(tenant_id, account_id) REFERENCES finora.account (tenant_id, id),
	CONSTRAINT hold_units_check CHECK (units > 0)
);

CREATE INDEX hold_tenant_id_account_id_idx ON finora.hold (tenant_id, account_id);

CREATE TABLE finora.observation (
	tenant_id UUID NOT NULL,
	account_id UUID NOT NULL,
	asset TEXT NOT NULL,
	on_date DATE NOT NULL,
	units finora.money_units NOT NULL,
	source TEXT NOT NULL,
	import_id UUID NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT observation_pkey PRIMARY KEY (tenant_id, account_id, asset, on_date, units, source),
	CONSTRAINT observation_account_fkey FOREIGN KEY(tenant_id, account_id) REFERENCES finora.account (tenant_id, id)
);

CREATE TABLE finora.opening (
	tenant_id UUID NOT NULL,
	account_id UUID NOT NULL,
	asset TEXT NOT NULL,
	number INTEGER NOT NULL,
	on_date DATE NOT NULL,
	units finora.money_units NOT NULL,
	entry_id UUID,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT opening_pkey PRIMARY KEY (tenant_id, account_id, asset, number),
	CONSTRAINT opening_account_fkey FOREIGN KEY(tenant_id, account_id) REFERENCES finora.account (tenant_id, id),
	CONSTRAINT opening_entry_fkey FOREIGN KEY(tenant_id, entry_id) REFERENCES finora.entry (tenant_id, id),
	CONSTRAINT opening_entry_check CHECK ((entry_id is null) = (units = 0))
);

CREATE TABLE finora.profile (
	tenant_id UUID NOT NULL,
	format TEXT NOT NULL,
	layout TEXT NOT NULL,
	answers JSONB NOT NULL,
	account_id UUID,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT profile_pkey PRIMARY KEY (tenant_id, format, layout),
	CONSTRAINT profile_account_fkey FOREIGN KEY(tenant_id, account_id) REFERENCES finora.account (tenant_id, id)
);

CREATE TABLE finora.hold_end (
	tenant_id UUID NOT NULL,
	hold_id UUID NOT NULL,
	outcome TEXT NOT NULL,
	units finora.money_units DEFAULT '0' NOT NULL,
	entry_id UUID,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT hold_end_pkey PRIMARY KEY (tenant_id, hold_id),
	CONSTRAINT hold_end_hold_fkey FOREIGN KEY(tenant_id, hold_id) REFERENCES finora.hold (tenant_id, id),
	CONSTRAINT hold_end_entry_fkey FOREIGN KEY(tenant_id, entry_id) REFERENCES finora.entry (tenant_id, id) DEFERRABLE INITIALLY DEFERRED,
	CONSTRAINT hold_end_outcome_check CHECK (outcome in ('posted', 'voided', 'expired')),
	CONSTRAINT hold_end_units_check CHECK (units >= 0 and (outcome = 'posted') = (units > 0)),
	CONSTRAINT hold_end_entry_check CHECK ((outcome = 'posted') = (entry_id is not null))
);

create function finora.finora_tenant() returns uuid language sql stable parallel safe
return nullif(current_setting('finora.tenant', true), '')::uuid;

create function finora.finora_user() returns uuid language sql stable parallel safe
return nullif(current_setting('finora.user', true), '')::uuid;

create function finora.direction(flow text, units numeric, reverses uuid)
returns text language sql immutable parallel safe return case
  when flow <> 'flow' then flow
  when (units > 0) = (reverses is null) then 'in' else 'out' end;

create function finora.open_tenant(
  host_tenant text, host_user text, new_tenant uuid, new_user uuid)
returns table (tenant_id uuid, user_id uuid) language plpgsql security definer set search_path = finora, pg_temp as $$
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
end $$;

create function finora.posting_added() returns trigger
language plpgsql security definer set search_path = finora, pg_temp set enable_seqscan = off set enable_sort = off as $$
declare
  moved record;
  checked boolean := false;
begin
  if exists (select from fresh group by tenant_id, entry_id, asset having sum(units) <> 0) then
    raise exception using errcode = 'FN001', message = 'UNBALANCED';
  end if;
  for moved in
    select p.tenant_id, p.account_id, p.asset,
      date_trunc('month', p.on_date::timestamp)::date as month,
      coalesce(l.category, '') as category,
      direction(coalesce(l.flow, e.flow), p.units, e.reverses) as direction,
      sum(p.units) as units, sum(case when e.reverses is null then 1 else -1 end) as postings,
      sum(sum(p.units)) over account as change, row_number() over account as number,
      bool_or(bool_or(e.tx is distinct from pg_current_xact_id() or e.on_date <> p.on_date))
        over () as closed,
      bool_or(bool_or(e.reverses is not null)) over () as reversing
    from fresh p
    left join lateral (
      select * from entry e where e.tenant_id = p.tenant_id and e.id = p.entry_id offset 0
    ) e on true
    left join lateral (
      -- coalesce() of the two would not do: it is not leakproof, and so no condition of an index.
      select l.category, l.flow from label l where (select exists (select from label))
        and l.tenant_id = p.tenant_id
        and l.entry_id = case when e.reverses is null then p.entry_id else e.reverses end
      order by l.number desc limit 1
    ) l on true
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

create function finora.label_added() returns trigger
language plpgsql security definer set search_path = finora, pg_temp set enable_seqscan = off set enable_sort = off as $$
begin
  if exists (
    select from fresh l where (
      select e.reverses is null from entry e where e.tenant_id = l.tenant_id and e.id = l.entry_id
    ) is not true
  ) then
    raise exception using errcode = 'FN004', message = 'ENTRY_NOT_FOUND';
  end if;
  insert into total as t (tenant_id, account_id, asset, month, category, direction, units, postings)
    select p.tenant_id, p.account_id, p.asset, date_trunc('month', p.on_date::timestamp)::date,
      s.category, direction(s.flow, p.units, e.reverses),
      sum(s.sign * p.units), sum(s.sign * case when e.reverses is null then 1 else -1 end)
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
      (-1, coalesce(prior.category, ''), coalesce(prior.flow, e.flow)), (1, l.category, l.flow)
    ) s (sign, category, flow)
    group by 1, 2, 3, 4, 5, 6 order by 1, 2, 3, 4, 5, 6
    on conflict (tenant_id, month, account_id, asset, category, direction)
    do update set units = t.units + excluded.units, postings = t.postings + excluded.postings;
  return null;
end $$;

create function finora.hold_added() returns trigger
language plpgsql security definer set search_path = finora, pg_temp as $$
begin
  insert into balance (tenant_id, account_id, asset, units, normal, floor)
    select a.tenant_id, a.id, new.asset, 0, a.normal, a.floor from account a
    where a.tenant_id = new.tenant_id and a.id = new.account_id
    on conflict do nothing;
  update balance b set held = b.held + new.units
    where b.tenant_id = new.tenant_id and b.account_id = new.account_id and b.asset = new.asset;
  return null;
end $$;

create function finora.hold_ended() returns trigger
language plpgsql security definer set search_path = finora, pg_temp as $$
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
end $$;

create function finora.lock_balances(accounts uuid[], assets text[])
returns void language plpgsql security definer set search_path = finora, pg_temp as $$
begin
  perform from balance b join unnest(accounts, assets) as wanted (account_id, asset)
    on b.account_id = wanted.account_id and b.asset = wanted.asset
    where b.tenant_id = finora_tenant()
    order by b.account_id, b.asset for no key update of b;
end $$;

create function finora.record_added() returns trigger
language plpgsql security definer set search_path = finora, pg_temp set enable_seqscan = off set enable_sort = off as $$
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
end $$;

create function finora.record_changed() returns trigger
language plpgsql security definer set search_path = finora, pg_temp as $$
begin
  insert into revision (tenant_id, record_id, number, account_id, on_date, units, asset,
      description, counterparty, bank_id, bank_state, status, void, edited, entry_id, replaced_by)
    values (old.tenant_id, old.id, old.revision, old.account_id, old.on_date, old.units, old.asset,
      old.description, old.counterparty, old.bank_id, old.bank_state, old.status, old.void,
      old.edited, old.entry_id, finora_user());
  new.revision := old.revision + 1;
  return new;
end $$;

create function finora.refuse_change() returns trigger
language plpgsql set search_path = finora, pg_temp as $$
begin
  raise exception using errcode = 'FN008', message = 'FACT_IMMUTABLE';
end $$;

create trigger posting_added after insert on finora.posting referencing new table as fresh for each statement execute function finora.posting_added();

create trigger label_added after insert on finora.label referencing new table as fresh for each statement execute function finora.label_added();

create trigger record_added after insert on finora.record referencing new table as fresh for each statement execute function finora.record_added();

create trigger record_moved after update on finora.record referencing new table as fresh for each statement execute function finora.record_added();

create trigger record_changed before update on finora.record for each row execute function finora.record_changed();

create trigger hold_added after insert on finora.hold for each row execute function finora.hold_added();

create trigger hold_ended after insert on finora.hold_end for each row execute function finora.hold_ended();

create trigger entry_fixed before update or delete or truncate on finora.entry for each statement execute function finora.refuse_change();

create trigger posting_fixed before update or delete or truncate on finora.posting for each statement execute function finora.refuse_change();

create trigger hold_fixed before update or delete or truncate on finora.hold for each statement execute function finora.refuse_change();

create trigger hold_end_fixed before update or delete or truncate on finora.hold_end for each statement execute function finora.refuse_change();

create trigger label_fixed before update or delete or truncate on finora.label for each statement execute function finora.refuse_change();

create trigger event_fixed before update or delete or truncate on finora.event for each statement execute function finora.refuse_change();

create trigger seal_fixed before update or delete or truncate on finora.seal for each statement execute function finora.refuse_change();

create trigger sighting_fixed before update or delete or truncate on finora.sighting for each statement execute function finora.refuse_change();

create trigger observation_fixed before update or delete or truncate on finora.observation for each statement execute function finora.refuse_change();

create trigger revision_fixed before update or delete or truncate on finora.revision for each statement execute function finora.refuse_change();

create trigger asset_fixed before update or delete or truncate on finora.asset for each statement execute function finora.refuse_change();

create trigger opening_fixed before update or delete or truncate on finora.opening for each statement execute function finora.refuse_change();

revoke all on all functions in schema finora from public;

grant execute on function finora.finora_tenant(), finora.finora_user(), finora.direction(text, numeric, uuid), finora.open_tenant(text, text, uuid, uuid), finora.lock_balances(uuid[], text[]) to finora_api, finora_worker;

revoke all on schema finora from public;

grant usage on schema finora to finora_api, finora_worker, finora_control;

grant select, insert (tenant_id, id, name, kind, normal, floor, asset, owner) on finora.account to finora_api;

grant select, insert (tenant_id, id, name, kind, normal, floor, asset, owner) on finora.account to finora_worker;

grant select, insert (tenant_id, number, account_id) on finora.account_number to finora_api;

grant select, insert (tenant_id, number, account_id) on finora.account_number to finora_worker;

grant select, insert (id, scale) on finora.asset to finora_api;

grant select, insert (id, scale) on finora.asset to finora_worker;

grant select on finora.balance to finora_api;

grant select on finora.balance to finora_worker;

grant select, insert (tenant_id, user_id, key, fingerprint, reply) on finora.command to finora_api;

grant select, delete on finora.command to finora_control;

grant select, insert (tenant_id, user_id, key, fingerprint, reply) on finora.command to finora_worker;

grant select, insert (tenant_id, id, on_date, flow, cause, reference, reverses, rate, rate_source) on finora.entry to finora_api;

grant select, insert (tenant_id, id, on_date, flow, cause, reference, reverses, rate, rate_source) on finora.entry to finora_worker;

grant select, insert (tenant_id, id, type, payload, actor, request_id) on finora.event to finora_api;

grant select on finora.event to finora_control;

grant select, insert (tenant_id, id, type, payload, actor, request_id) on finora.event to finora_worker;

grant select, insert (tenant_id, id, account_id, asset, units, reference, expires_at) on finora.hold to finora_api;

grant select, insert (tenant_id, id, account_id, asset, units, reference, expires_at) on finora.hold to finora_worker;

grant select, insert (tenant_id, hold_id, outcome, units, entry_id) on finora.hold_end to finora_api;

grant select, insert (tenant_id, hold_id, outcome, units, entry_id) on finora.hold_end to finora_worker;

grant select, insert (tenant_id, id, name, queue, event_id, user_id, request_id, payload, state, attempts, max_attempts, run_at, lease_until, epoch, done_parts, all_parts, result, reason, message, error, started_at, finished_at, dismissed_at), update (state, attempts, result, done_parts, run_at, finished_at, dismissed_at) on finora.job to finora_api;

grant select, delete, update (state, attempts, max_attempts, run_at, lease_until, epoch, done_parts, all_parts, result, reason, message, error, started_at, finished_at) on finora.job to finora_control;

grant select, insert (tenant_id, id, name, queue, event_id, user_id, request_id, payload, state, attempts, max_attempts, run_at, lease_until, epoch, done_parts, all_parts, result, reason, message, error, started_at, finished_at, dismissed_at), update (state, attempts, result, done_parts, run_at, finished_at, dismissed_at) on finora.job to finora_worker;

grant select, insert (tenant_id, entry_id, number, category, flow, source, set_by) on finora.label to finora_api;

grant select, insert (tenant_id, entry_id, number, category, flow, source, set_by) on finora.label to finora_worker;

grant select on finora.membership to finora_api;

grant select on finora.membership to finora_worker;

grant select, insert (tenant_id, account_id, asset, on_date, units, source, import_id) on finora.observation to finora_api;

grant select, insert (tenant_id, account_id, asset, on_date, units, source, import_id) on finora.observation to finora_worker;

grant select, insert (tenant_id, account_id, asset, number, on_date, units, entry_id) on finora.opening to finora_api;

grant select, insert (tenant_id, account_id, asset, number, on_date, units, entry_id) on finora.opening to finora_worker;

grant select on finora.person to finora_api;

grant select on finora.person to finora_worker;

grant select, insert on finora.posting to finora_api;

grant select, insert on finora.posting to finora_worker;

grant select, insert (tenant_id, format, layout, answers, account_id), update (answers, account_id) on finora.profile to finora_api;

grant select, insert (tenant_id, format, layout, answers, account_id), update (answers, account_id) on finora.profile to finora_worker;

grant select, insert (tenant_id, id, received_account_id, identity, occurrence, import_id, place, source, raw, account_id, on_date, units, asset, description, counterparty, merchant_key, bank_id, bank_state, status, void, edited, entry_id, revision, reasoning_trace), update (account_id, on_date, units, asset, description, counterparty, merchant_key, bank_id, bank_state, status, void, edited, entry_id, reasoning_trace) on finora.record to finora_api;

grant select, insert (tenant_id, id, received_account_id, identity, occurrence, import_id, place, source, raw, account_id, on_date, units, asset, description, counterparty, merchant_key, bank_id, bank_state, status, void, edited, entry_id, revision, reasoning_trace), update (account_id, on_date, units, asset, description, counterparty, merchant_key, bank_id, bank_state, status, void, edited, entry_id, reasoning_trace) on finora.record to finora_worker;

grant select on finora.revision to finora_api;

grant select on finora.revision to finora_worker;

grant select on finora.schema_state to finora_api;

grant select on finora.schema_state to finora_control;

grant select on finora.schema_state to finora_worker;

grant select on finora.seal to finora_api;

grant select, insert on finora.seal to finora_control;

grant select on finora.seal to finora_worker;

grant select, update (below) on finora.seal_mark to finora_control;

grant select, insert (tenant_id, account_id, identity, occurrence, record_id, source, import_id, place, on_date, raw) on finora.sighting to finora_api;

grant select, insert (tenant_id, account_id, identity, occurrence, record_id, source, import_id, place, on_date, raw) on finora.sighting to finora_worker;

grant select, insert (tenant_id, id, file_name, file_key, sha256, bytes, request, result, asked_by), update (result) on finora.statement_import to finora_api;

grant select, insert (tenant_id, id, file_name, file_key, sha256, bytes, request, result, asked_by), update (result) on finora.statement_import to finora_worker;

grant select on finora.tenant to finora_api;

grant select on finora.tenant to finora_worker;

grant select on finora.total to finora_api;

grant select on finora.total to finora_worker;

create policy account_migrator on finora.account to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy account_api on finora.account to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy account_worker on finora.account to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy account_number_migrator on finora.account_number to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy account_number_api on finora.account_number to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy account_number_worker on finora.account_number to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy balance_migrator on finora.balance to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy balance_api on finora.balance to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy balance_worker on finora.balance to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy command_migrator on finora.command to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy command_api on finora.command to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy command_worker on finora.command to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy command_control on finora.command to finora_control using (true) with check (true);

create policy entry_migrator on finora.entry to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy entry_api on finora.entry to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy entry_worker on finora.entry to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy event_migrator on finora.event to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy event_api on finora.event to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy event_worker on finora.event to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy event_control on finora.event to finora_control using (true) with check (true);

create policy hold_migrator on finora.hold to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy hold_api on finora.hold to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy hold_worker on finora.hold to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy hold_end_migrator on finora.hold_end to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy hold_end_api on finora.hold_end to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy hold_end_worker on finora.hold_end to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy job_migrator on finora.job to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy job_api on finora.job to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy job_worker on finora.job to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy job_control on finora.job to finora_control using (true) with check (true);

create policy label_migrator on finora.label to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy label_api on finora.label to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy label_worker on finora.label to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy membership_migrator on finora.membership to finora_migrator using (true) with check (true);

create policy membership_api on finora.membership to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy membership_worker on finora.membership to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy observation_migrator on finora.observation to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy observation_api on finora.observation to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy observation_worker on finora.observation to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy opening_migrator on finora.opening to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy opening_api on finora.opening to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy opening_worker on finora.opening to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy person_migrator on finora.person to finora_migrator using (true) with check (true);

create policy person_api on finora.person to finora_api using (user_id = (select finora.finora_user())) with check (user_id = (select finora.finora_user()));

create policy person_worker on finora.person to finora_worker using (user_id = (select finora.finora_user())) with check (user_id = (select finora.finora_user()));

create policy posting_migrator on finora.posting to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy posting_api on finora.posting to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy posting_worker on finora.posting to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy profile_migrator on finora.profile to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy profile_api on finora.profile to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy profile_worker on finora.profile to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy record_migrator on finora.record to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy record_api on finora.record to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy record_worker on finora.record to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy revision_migrator on finora.revision to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy revision_api on finora.revision to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy revision_worker on finora.revision to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy seal_migrator on finora.seal to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy seal_api on finora.seal to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy seal_worker on finora.seal to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy seal_control on finora.seal to finora_control using (true) with check (true);

create policy sighting_migrator on finora.sighting to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy sighting_api on finora.sighting to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy sighting_worker on finora.sighting to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy statement_import_migrator on finora.statement_import to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy statement_import_api on finora.statement_import to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy statement_import_worker on finora.statement_import to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy tenant_migrator on finora.tenant to finora_migrator using (true) with check (true);

create policy tenant_api on finora.tenant to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy tenant_worker on finora.tenant to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy total_migrator on finora.total to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy total_api on finora.total to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy total_worker on finora.total to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

alter table finora.account enable row level security;

alter table finora.account force row level security;

alter table finora.account_number enable row level security;

alter table finora.account_number force row level security;

alter table finora.balance enable row level security;

alter table finora.balance force row level security;

alter table finora.command enable row level security;

alter table finora.command force row level security;

alter table finora.entry enable row level security;

alter table finora.entry force row level security;

alter table finora.event enable row level security;

alter table finora.event force row level security;

alter table finora.hold enable row level security;

alter table finora.hold force row level security;

alter table finora.hold_end enable row level security;

alter table finora.hold_end force row level security;

alter table finora.job enable row level security;

alter table finora.job force row level security;

alter table finora.label enable row level security;

alter table finora.label force row level security;

alter table finora.membership enable row level security;

alter table finora.membership force row level security;

alter table finora.observation enable row level security;

alter table finora.observation force row level security;

alter table finora.opening enable row level security;

alter table finora.opening force row level security;

alter table finora.person enable row level security;

alter table finora.person force row level security;

alter table finora.posting enable row level security;

alter table finora.posting force row level security;

alter table finora.profile enable row level security;

alter table finora.profile force row level security;

alter table finora.record enable row level security;

alter table finora.record force row level security;

alter table finora.revision enable row level security;

alter table finora.revision force row level security;

alter table finora.seal enable row level security;

alter table finora.seal force row level security;

alter table finora.sighting enable row level security;

alter table finora.sighting force row level security;

alter table finora.statement_import enable row level security;

alter table finora.statement_import force row level security;

alter table finora.tenant enable row level security;

alter table finora.tenant force row level security;

alter table finora.total enable row level security;

alter table finora.total force row level security;

insert into finora.asset (id, scale) values
  ('ADP', 0),
  ('AED', 2),
  ('AFN', 2),
  ('ALL', 2),
  ('AMD', 2),
  ('ANG', 2),
  ('AOA', 2),
  ('ARS', 2),
  ('ATS', 2),
  ('AUD', 2),
  ('AWG', 2),
  ('AZM', 2),
  ('AZN', 2),
  ('BAM', 2),
  ('BBD', 2),
  ('BDT', 2),
  ('BEF', 0),
  ('BGL', 2),
  ('BGN', 2),
  ('BHD', 3),
  ('BIF', 0),
  ('BMD', 2),
  ('BND', 2),
  ('BOB', 2),
  ('BOV', 2),
  ('BRL', 2),
  ('BSD', 2),
  ('BTN', 2),
  ('BWP', 2),
  ('BYN', 2),
  ('BYR', 0),
  ('BZD', 2),
  ('CAD', 2),
  ('CDF', 2),
  ('CHE', 2),
  ('CHF', 2),
  ('CHW', 2),
  ('CLF', 4),
  ('CLP', 0),
  ('CNY', 2),
  ('COP', 2),
  ('COU', 2),
  ('CRC', 2),
  ('CSD', 2),
  ('CUC', 2),
  ('CUP', 2),
  ('CVE', 2),
  ('CYP', 2),
  ('CZE', 2),
  ('CZK', 2),
  ('DDM', 2),
  ('DEM', 2),
  ('DJF', 0),
  ('DKK', 2),
  ('DOP', 2),
  ('DZD', 2),
  ('EEK', 2),
  ('EGP', 2),
  ('ERN', 2),
  ('ESP', 0),
  ('ETB', 2),
  ('EUR', 2),
  ('FIM', 2),
  ('FJD', 2),
  ('FKP', 2),
  ('FRF', 2),
  ('GBP', 2),
  ('GEL', 2),
  ('GHC', 2),
  ('GHS', 2),
  ('GIP', 2),
  ('GMD', 2),
  ('GNF', 0),
  ('GRD', 0),
  ('GTQ', 2),
  ('GYD', 2),
  ('HKD', 2),
  ('HNL', 2),
  ('HRK', 2),
  ('HTG', 2),
  ('HUF', 2),
  ('IDR', 2),
  ('IEP', 2),
  ('ILS', 2),
  ('INR', 2),
  ('IQD', 3),
  ('IRR', 2),
  ('ISK', 0),
  ('ITL', 0),
  ('JMD', 2),
  ('JOD', 3),
  ('JPY', 0),
  ('KES', 2),
  ('KGS', 2),
  ('KHR', 2),
  ('KMF', 0),
  ('KPW', 2),
  ('KRW', 0),
  ('KWD', 3),
  ('KYD', 2),
  ('KZT', 2),
  ('LAK', 2),
  ('LBP', 2),
  ('LKR', 2),
  ('LRD', 2),
  ('LSL', 2),
  ('LTL', 2),
  ('LUF', 0),
  ('LVL', 2),
  ('LYD', 3),
  ('MAD', 2),
  ('MDL', 2),
  ('MGA', 2),
  ('MGF', 0),
  ('MKD', 2),
  ('MMK', 2),
  ('MNT', 2),
  ('MOP', 2),
  ('MRO', 2),
  ('MRU', 2),
  ('MTL', 2),
  ('MUR', 2),
  ('MVR', 2),
  ('MWK', 2),
  ('MXN', 2),
  ('MXP', 2),
  ('MXV', 2),
  ('MYR', 2),
  ('MZM', 2),
  ('MZN', 2),
  ('NAD', 2),
  ('NGN', 2),
  ('NIO', 2),
  ('NLG', 2),
  ('NOK', 2),
  ('NPR', 2),
  ('NZD', 2),
  ('OMR', 3),
  ('PAB', 2),
  ('PEN', 2),
  ('PGK', 2),
  ('PHP', 2),
  ('PKR', 2),
  ('PLN', 2),
  ('PLZ', 2),
  ('PTE', 0),
  ('PYG', 0),
  ('QAR', 2),
  ('ROL', 2),
  ('RON', 2),
  ('RSD', 2),
  ('RUB', 2),
  ('RUR', 2),
  ('RWF', 0),
  ('SAR', 2),
  ('SBD', 2),
  ('SCR', 2),
  ('SDD', 2),
  ('SDG', 2),
  ('SEK', 2),
  ('SGD', 2),
  ('SHP', 2),
  ('SIT', 2),
  ('SKK', 2),
  ('SLE', 2),
  ('SLL', 2),
  ('SOS', 2),
  ('SRD', 2),
  ('SRG', 2),
  ('SSP', 2),
  ('STD', 2),
  ('STN', 2),
  ('SVC', 2),
  ('SYP', 2),
  ('SZL', 2),
  ('THB', 2),
  ('TJS', 2),
  ('TMM', 2),
  ('TMT', 2),
  ('TND', 3),
  ('TOP', 2),
  ('TPE', 0),
  ('TRL', 0),
  ('TRY', 2),
  ('TTD', 2),
  ('TWD', 2),
  ('TZS', 2),
  ('UAH', 2),
  ('UAK', 2),
  ('UGX', 0),
  ('USD', 2),
  ('USN', 2),
  ('UYI', 0),
  ('UYU', 2),
  ('UYW', 4),
  ('UZS', 2),
  ('VEB', 2),
  ('VED', 2),
  ('VEF', 2),
  ('VES', 2),
  ('VND', 0),
  ('VUV', 0),
  ('WST', 2),
  ('XAD', 2),
  ('XAF', 0),
  ('XCD', 2),
  ('XCG', 2),
  ('XOF', 0),
  ('XPF', 0),
  ('YER', 2),
  ('YUM', 2),
  ('ZAR', 2),
  ('ZMK', 2),
  ('ZMW', 2),
  ('ZRN', 2),
  ('ZWG', 2),
  ('ZWL', 2);

insert into finora.seal_mark (below) values ('0');
