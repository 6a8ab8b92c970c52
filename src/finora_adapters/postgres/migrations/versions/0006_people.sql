alter table finora.version add column closed boolean not null default 'false';

alter table finora.person
  add column preferences jsonb not null default '{}'::jsonb,
  add column erased_at timestamptz,
  add constraint person_preferences_check check (octet_length(preferences::text) <= 8192),
  add constraint person_erased_at_check check (erased_at is null or (home_id is null and name = ''
    and password is null and codes is null and roles = '' and preferences = '{}'::jsonb));

CREATE TABLE finora.address (
	user_id UUID NOT NULL,
	id UUID NOT NULL,
	label TEXT NOT NULL,
	name TEXT NOT NULL,
	lines JSONB NOT NULL,
	city TEXT NOT NULL,
	region TEXT NOT NULL,
	postal_code TEXT NOT NULL,
	country TEXT NOT NULL,
	phone TEXT,
	is_default BOOLEAN DEFAULT 'false' NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT address_pkey PRIMARY KEY (user_id, id),
	CONSTRAINT address_person_fkey FOREIGN KEY(user_id) REFERENCES finora.person (user_id),
	CONSTRAINT address_country_check CHECK (country ~ '^[A-Z]{2}$'),
	CONSTRAINT address_lines_check CHECK (jsonb_array_length(lines) between 1 and 4)
);

CREATE UNIQUE INDEX address_default_key ON finora.address (user_id) WHERE is_default;

create or replace function finora.refuse_change() returns trigger
language plpgsql set search_path = finora, pg_temp as $$
begin
  if tg_op = 'DELETE' and current_user = 'finora_eraser' then
    return null;
  end if;
  raise exception using errcode = 'FN008', message = 'FACT_IMMUTABLE';
end $$;

grant execute on function finora.finora_tenant(), finora.finora_user() to finora_eraser;

grant usage on schema finora to finora_api, finora_worker, finora_control, finora_eraser;

grant select (tenant_id), delete on finora.account to finora_eraser;

grant select (tenant_id), delete on finora.account_number to finora_eraser;

grant select, insert (user_id, id, label, name, lines, city, region, postal_code, country, phone, is_default), delete, update (label, name, lines, city, region, postal_code, country, phone, is_default) on finora.address to finora_api;

grant select (user_id), delete on finora.address to finora_eraser;

grant select, insert (user_id, id, label, name, lines, city, region, postal_code, country, phone, is_default), delete, update (label, name, lines, city, region, postal_code, country, phone, is_default) on finora.address to finora_worker;

grant select (tenant_id), delete on finora.balance to finora_eraser;

grant select (user_id), delete on finora.challenge to finora_eraser;

grant select (tenant_id, user_id, reply), delete on finora.command to finora_eraser;

grant select (tenant_id), delete on finora.data_key to finora_eraser;

grant select (tenant_id), delete on finora.entry to finora_eraser;

grant select (tenant_id), delete on finora.event to finora_eraser;

grant select (tenant_id), delete on finora.hold to finora_eraser;

grant select (tenant_id), delete on finora.hold_end to finora_eraser;

grant select (user_id), delete on finora.identity to finora_eraser;

grant select (expires_at), delete on finora.invite to finora_control;

grant select (tenant_id, id, email), delete on finora.invite to finora_eraser;

grant select (tenant_id), delete on finora.job to finora_eraser;

grant select (tenant_id), delete on finora.label to finora_eraser;

grant select (tenant_id, user_id), delete on finora.membership to finora_eraser;

grant select (tenant_id), delete on finora.observation to finora_eraser;

grant select (tenant_id), delete on finora.opening to finora_eraser;

grant select (tenant_id), delete on finora.period to finora_eraser;

grant select, insert (user_id, key, home_id, name, locale, currency, roles, password, codes, code_step, banned_at, preferences), update (name, locale, currency, roles, password, codes, code_step, banned_at, preferences) on finora.person to finora_api;

grant select (user_id), update (home_id, name, locale, currency, roles, password, codes, code_step, banned_at, preferences, erased_at) on finora.person to finora_eraser;

grant select, insert (user_id, key, home_id, name, locale, currency, roles, password, codes, code_step, banned_at, preferences), update (name, locale, currency, roles, password, codes, code_step, banned_at, preferences) on finora.person to finora_worker;

grant select (tenant_id), delete on finora.posting to finora_eraser;

grant select (tenant_id), delete on finora.profile to finora_eraser;

grant select (tenant_id), delete on finora.record to finora_eraser;

grant select (tenant_id), delete on finora.revision to finora_eraser;

grant select (tenant_id), delete on finora.seal to finora_eraser;

grant select (tenant_id), delete on finora.secret to finora_eraser;

grant select (tenant_id), delete on finora.secret_field to finora_eraser;

grant select (user_id), delete on finora.session to finora_eraser;

grant select (tenant_id), delete on finora.sighting to finora_eraser;

grant select (tenant_id), delete on finora.statement_import to finora_eraser;

grant select (tenant_id), delete on finora.stored_file to finora_eraser;

grant select (tenant_id), delete on finora.tenant to finora_eraser;

grant select (tenant_id), delete on finora.token to finora_eraser;

grant select (tenant_id), delete on finora.total to finora_eraser;

grant select (tenant_id, number), insert (tenant_id, number, closed), update (number, changed_at, closed) on finora.version to finora_eraser;

create policy account_eraser on finora.account to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy account_number_eraser on finora.account_number to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy address_migrator on finora.address to finora_migrator using (user_id = (select finora.finora_user())) with check (user_id = (select finora.finora_user()));

create policy address_api on finora.address to finora_api using (user_id = (select finora.finora_user())) with check (user_id = (select finora.finora_user()));

create policy address_worker on finora.address to finora_worker using (user_id = (select finora.finora_user())) with check (user_id = (select finora.finora_user()));

create policy address_eraser on finora.address to finora_eraser using (user_id = (select finora.finora_user())) with check (user_id = (select finora.finora_user()));

create policy balance_eraser on finora.balance to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy challenge_eraser on finora.challenge to finora_eraser using (user_id = (select finora.finora_user())) with check (user_id = (select finora.finora_user()));

create policy command_eraser on finora.command to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy data_key_eraser on finora.data_key to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy entry_eraser on finora.entry to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy event_eraser on finora.event to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy hold_eraser on finora.hold to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy hold_end_eraser on finora.hold_end to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy identity_eraser on finora.identity to finora_eraser using (user_id = (select finora.finora_user())) with check (user_id = (select finora.finora_user()));

create policy invite_control on finora.invite to finora_control using (true) with check (true);

create policy invite_eraser on finora.invite to finora_eraser using (true) with check (true);

create policy job_eraser on finora.job to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy label_eraser on finora.label to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy membership_eraser on finora.membership to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy observation_eraser on finora.observation to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy opening_eraser on finora.opening to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy period_eraser on finora.period to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy person_eraser on finora.person to finora_eraser using (user_id = (select finora.finora_user())) with check (user_id = (select finora.finora_user()));

create policy posting_eraser on finora.posting to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy profile_eraser on finora.profile to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy record_eraser on finora.record to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy revision_eraser on finora.revision to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy seal_eraser on finora.seal to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy secret_eraser on finora.secret to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy secret_field_eraser on finora.secret_field to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy session_eraser on finora.session to finora_eraser using (user_id = (select finora.finora_user())) with check (user_id = (select finora.finora_user()));

create policy sighting_eraser on finora.sighting to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy statement_import_eraser on finora.statement_import to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy stored_file_eraser on finora.stored_file to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy tenant_eraser on finora.tenant to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy token_eraser on finora.token to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy total_eraser on finora.total to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy version_eraser on finora.version to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

alter table finora.address enable row level security;

alter table finora.address force row level security;
