alter table finora.entry add column bank_date date,
  add constraint entry_bank_date_check check (bank_date < on_date);

alter table finora.label add column tx xid8;

alter table finora.label alter column tx set default pg_current_xact_id();

alter table finora.opening drop constraint opening_entry_check,
  add constraint opening_entry_check check (entry_id is not null or units = 0);

CREATE TABLE finora.closing (
	tenant_id UUID NOT NULL,
	number INTEGER NOT NULL,
	through DATE,
	reason TEXT DEFAULT '' NOT NULL,
	acted_by UUID NOT NULL,
	base_asset TEXT NOT NULL,
	rates BIGINT NOT NULL,
	unapproved JSONB NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	tx xid8 DEFAULT pg_current_xact_id() NOT NULL,
	CONSTRAINT closing_pkey PRIMARY KEY (tenant_id, number),
	CONSTRAINT closing_number_check CHECK (number > 0),
	CONSTRAINT closing_reason_check CHECK (length(reason) <= 500)
);

CREATE INDEX entry_late_idx ON finora.entry (tenant_id, on_date, id) WHERE bank_date is not null;

CREATE TABLE finora.report (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	kind TEXT NOT NULL,
	format TEXT NOT NULL,
	asked JSONB NOT NULL,
	asked_by UUID NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	job_id UUID NOT NULL,
	file_id UUID,
	finished_at TIMESTAMP WITH TIME ZONE,
	expires_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT report_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT report_file_check CHECK ((file_id is null) = (finished_at is null))
);

CREATE INDEX report_tenant_id_created_at_id_idx ON finora.report (tenant_id, created_at, id);

CREATE TABLE finora.fx_rate (
	base TEXT NOT NULL,
	quote TEXT NOT NULL,
	on_date DATE NOT NULL,
	source TEXT NOT NULL,
	revision INTEGER NOT NULL,
	value finora.rate NOT NULL,
	number BIGINT NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT fx_rate_pkey PRIMARY KEY (base, quote, on_date, source, revision),
	CONSTRAINT fx_rate_base_fkey FOREIGN KEY(base) REFERENCES finora.asset (id),
	CONSTRAINT fx_rate_quote_fkey FOREIGN KEY(quote) REFERENCES finora.asset (id),
	CONSTRAINT fx_rate_number_key UNIQUE (number),
	CONSTRAINT fx_rate_quote_check CHECK (base <> quote),
	CONSTRAINT fx_rate_source_check CHECK (source ~ '^[a-z][a-z0-9._-]{0,63}$'),
	CONSTRAINT fx_rate_revision_check CHECK (revision > 0)
);

create function finora.closed_through() returns date
language sql stable set search_path = finora, pg_temp as $$
  select through from closing where tenant_id = finora_tenant() order by number desc limit 1
$$;

create function finora.closed_to_postings() returns trigger
language plpgsql security definer set search_path = finora, pg_temp set enable_seqscan = off set enable_sort = off as $$
declare
  last record;
begin
  perform pg_advisory_xact_lock_shared(hashtextextended(finora_tenant()::text, 2));
  select through, tx into last from closing where tenant_id = finora_tenant()
    order by number desc limit 1;
  if last.tx > pg_current_xact_id() then
    raise exception using errcode = 'FN011', message = 'CLOSED_MEANWHILE';
  end if;
  if last.through is not null and exists (select from fresh where on_date <= last.through) then
    raise exception using errcode = 'FN012', message = 'PERIOD_CLOSED', detail = last.through::text;
  end if;
  return null;
end $$;

create function finora.closed_to_labels() returns trigger
language plpgsql security definer set search_path = finora, pg_temp set enable_seqscan = off set enable_sort = off as $$
declare
  last record;
begin
  perform pg_advisory_xact_lock_shared(hashtextextended(finora_tenant()::text, 2));
  select through, tx into last from closing where tenant_id = finora_tenant()
    order by number desc limit 1;
  if last.tx > pg_current_xact_id() then
    raise exception using errcode = 'FN011', message = 'CLOSED_MEANWHILE';
  end if;
  if last.through is not null and exists (select from fresh l cross join lateral (select * from entry e where e.tenant_id = l.tenant_id and e.id = l.entry_id offset 0) e where e.on_date <= last.through) then
    raise exception using errcode = 'FN012', message = 'PERIOD_CLOSED', detail = last.through::text;
  end if;
  return null;
end $$;

create trigger closed_to_postings after insert on finora.posting referencing new table as fresh for each statement execute function finora.closed_to_postings();

create trigger closed_to_labels after insert on finora.label referencing new table as fresh for each statement execute function finora.closed_to_labels();

create trigger fx_rate_fixed before update or delete or truncate on finora.fx_rate for each statement execute function finora.refuse_change();

create trigger closing_fixed before update or delete or truncate on finora.closing for each statement execute function finora.refuse_change();

revoke all on all functions in schema finora from public;

grant execute on function finora.finora_tenant(), finora.finora_user(), finora.direction(text, numeric, uuid), finora.closed_through(), finora.open_tenant(text, text, uuid, uuid), finora.find_person(text, text, text), finora.home_of(uuid), finora.my_tenants(), finora.members(), finora.people(uuid, integer, text), finora.guesses(bytea), finora.guessed_wrong(bytea, integer, interval), finora.guessed_right(bytea), finora.lock_balances(uuid[], text[]) to finora_api, finora_worker;

grant select, insert (tenant_id, number, through, reason, acted_by, base_asset, rates, unapproved) on finora.closing to finora_api;

grant select (tenant_id), delete on finora.closing to finora_eraser;

grant select, insert (tenant_id, number, through, reason, acted_by, base_asset, rates, unapproved) on finora.closing to finora_worker;

grant select, insert (tenant_id, id, on_date, flow, cause, reference, reverses, rate, rate_source, bank_date) on finora.entry to finora_api;

grant select, insert (tenant_id, id, on_date, flow, cause, reference, reverses, rate, rate_source, bank_date) on finora.entry to finora_worker;

grant select, insert (base, quote, on_date, source, revision, value, number) on finora.fx_rate to finora_api;

grant select, insert (base, quote, on_date, source, revision, value, number) on finora.fx_rate to finora_worker;

grant select, insert (tenant_id, id, kind, format, asked, asked_by, job_id, file_id, finished_at, expires_at), update (file_id, finished_at, expires_at) on finora.report to finora_api;

grant select (tenant_id), delete on finora.report to finora_eraser;

grant select, insert (tenant_id, id, kind, format, asked, asked_by, job_id, file_id, finished_at, expires_at), update (file_id, finished_at, expires_at) on finora.report to finora_worker;

create policy closing_migrator on finora.closing to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy closing_api on finora.closing to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy closing_worker on finora.closing to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy closing_eraser on finora.closing to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy report_migrator on finora.report to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy report_api on finora.report to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy report_worker on finora.report to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy report_eraser on finora.report to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

alter table finora.closing enable row level security;

alter table finora.closing force row level security;

alter table finora.report enable row level security;

alter table finora.report force row level security;
