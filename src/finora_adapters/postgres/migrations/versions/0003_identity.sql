alter table finora.tenant
  add column kind text not null default 'host',
  add column name text not null default '',
  add constraint tenant_name_check check (length(name) <= 200),
  add constraint tenant_kind_check check (kind in ('personal', 'business', 'host'));

alter table finora.person
  add column home_id uuid,
  add column name text not null default '',
  add column locale text not null default 'en',
  add column currency text not null default 'EUR',
  add column roles text not null default '',
  add column password text,
  add column codes bytea,
  add column code_step bigint,
  add column banned_at timestamptz,
  add constraint person_tenant_fkey foreign key (home_id) references finora.tenant (tenant_id),
  add constraint person_name_check check (length(name) <= 200),
  add constraint person_password_check check (starts_with(password, '$argon2id$'));

alter table finora.token
  add column permissions text,
  drop constraint token_membership_fkey,
  add constraint token_membership_fkey foreign key (tenant_id, user_id)
    references finora.membership (tenant_id, user_id) on delete cascade;

CREATE TABLE finora.guess (
	subject BYTEA NOT NULL,
	failures INTEGER NOT NULL,
	locked_until TIMESTAMP WITH TIME ZONE,
	failed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT guess_pkey PRIMARY KEY (subject),
	CONSTRAINT guess_subject_check CHECK (octet_length(subject) = 32)
);

CREATE TABLE finora.invite (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	email TEXT NOT NULL,
	role TEXT NOT NULL,
	invited_by UUID NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	accepted_at TIMESTAMP WITH TIME ZONE,
	withdrawn_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT invite_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT invite_tenant_fkey FOREIGN KEY(tenant_id) REFERENCES finora.tenant (tenant_id),
	CONSTRAINT invite_role_check CHECK (role in ('owner', 'admin', 'accountant', 'viewer')),
	CONSTRAINT invite_email_check CHECK (length(email) between 3 and 254)
);

CREATE TABLE finora.identity (
	user_id UUID NOT NULL,
	id UUID NOT NULL,
	kind TEXT NOT NULL,
	issuer TEXT DEFAULT '' NOT NULL,
	subject TEXT NOT NULL,
	label TEXT NOT NULL,
	data JSONB DEFAULT '{}'::jsonb NOT NULL,
	verified_at TIMESTAMP WITH TIME ZONE,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	used_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT identity_pkey PRIMARY KEY (user_id, id),
	CONSTRAINT identity_kind_issuer_subject_key UNIQUE (kind, issuer, subject),
	CONSTRAINT identity_person_fkey FOREIGN KEY(user_id) REFERENCES finora.person (user_id),
	CONSTRAINT identity_kind_check CHECK (kind in ('email', 'passkey', 'wallet', 'oidc', 'telegram')),
	CONSTRAINT identity_issuer_check CHECK (length(issuer) <= 500),
	CONSTRAINT identity_subject_check CHECK (length(subject) between 1 and 1500),
	CONSTRAINT identity_label_check CHECK (length(label) between 1 and 254)
);

CREATE INDEX membership_user_id_idx ON finora.membership (user_id);

CREATE TABLE finora.session (
	user_id UUID NOT NULL,
	id UUID NOT NULL,
	kind TEXT NOT NULL,
	method TEXT NOT NULL,
	agent TEXT NOT NULL,
	network TEXT NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	ends_at TIMESTAMP WITH TIME ZONE NOT NULL,
	proven_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	generation INTEGER DEFAULT '0' NOT NULL,
	rotated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	ended_at TIMESTAMP WITH TIME ZONE,
	reason TEXT,
	CONSTRAINT session_pkey PRIMARY KEY (user_id, id),
	CONSTRAINT session_person_fkey FOREIGN KEY(user_id) REFERENCES finora.person (user_id),
	CONSTRAINT session_kind_check CHECK (kind in ('bearer', 'browser')),
	CONSTRAINT session_reason_check CHECK ((ended_at is null) = (reason is null))
);

CREATE TABLE finora.challenge (
	user_id UUID NOT NULL,
	id UUID NOT NULL,
	purpose TEXT NOT NULL,
	identity_id UUID NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	used_at TIMESTAMP WITH TIME ZONE,
	tries SMALLINT DEFAULT '0' NOT NULL,
	CONSTRAINT challenge_pkey PRIMARY KEY (user_id, id),
	CONSTRAINT challenge_identity_fkey FOREIGN KEY(user_id, identity_id) REFERENCES finora.identity (user_id, id) ON DELETE CASCADE,
	CONSTRAINT challenge_purpose_check CHECK (purpose in ('verify', 'reset', 'magic', 'code'))
);

create function finora.find_person(
  of_kind text, of_issuer text, of_subject text)
returns table (user_id uuid, home_id uuid, identity_id uuid)
language sql stable security definer set search_path = finora, pg_temp as $$
  select p.user_id, p.home_id, i.id from identity i join person p on p.user_id = i.user_id
  where i.kind = of_kind and i.issuer = of_issuer and i.subject = of_subject
    and p.home_id is not null
$$;

create function finora.home_of(of_user uuid) returns uuid
language sql stable security definer set search_path = finora, pg_temp as $$
  select home_id from person where user_id = of_user
$$;

create function finora.my_tenants()
returns table (tenant_id uuid, kind text, name text, base_asset text, created_at timestamptz,
  role text)
language sql stable security definer set search_path = finora, pg_temp as $$
  select t.tenant_id, t.kind, t.name, t.base_asset, t.recorded_at, m.role
  from membership m join tenant t on t.tenant_id = m.tenant_id
  where m.user_id = finora_user() order by t.tenant_id
$$;

create function finora.members()
returns table (user_id uuid, role text, name text, email text, since timestamptz)
language sql stable security definer set search_path = finora, pg_temp as $$
  select m.user_id, m.role, p.name, (
      select i.label from identity i where i.user_id = m.user_id and i.kind = 'email'
      order by i.verified_at is null, i.id limit 1), m.recorded_at
  from membership m join person p on p.user_id = m.user_id
  where m.tenant_id = finora_tenant() order by m.recorded_at, m.user_id
$$;

create function finora.people(after uuid, at_most int, words text)
returns table (user_id uuid, name text, email text, roles text, created_at timestamptz,
  banned_at timestamptz)
language sql stable security definer set search_path = finora, pg_temp as $$
  select p.user_id, p.name, e.label, p.roles, p.recorded_at, p.banned_at
  from person p left join lateral (
    select i.label from identity i where i.user_id = p.user_id and i.kind = 'email'
    order by i.verified_at is null, i.id limit 1) e on true
  where p.home_id is not null and (after is null or p.user_id > after)
    and (words = '' or strpos(lower(p.name || ' ' || coalesce(e.label, '')), lower(words)) > 0)
  order by p.user_id limit at_most
$$;

create function finora.guesses(of_subject bytea)
returns table (failures int, locked_until timestamptz)
language sql stable security definer set search_path = finora, pg_temp as $$
  select g.failures, g.locked_until from guess g where g.subject = of_subject
$$;

create function finora.guessed_wrong(
  of_subject bytea, lock_after int, lock_for interval)
returns table (failures int, locked_until timestamptz)
language plpgsql security definer set search_path = finora, pg_temp as $$
#variable_conflict use_column
begin
  return query insert into guess as g (subject, failures) values (of_subject, 1)
    on conflict (subject) do update set failures = g.failures + 1, failed_at = clock_timestamp(),
      locked_until = case when g.failures + 1 >= 100 then 'infinity'::timestamptz
        when (g.failures + 1) % lock_after = 0 then clock_timestamp() + lock_for
        else g.locked_until end
    returning g.failures, g.locked_until;
end $$;

create function finora.guessed_right(of_subject bytea) returns void
language sql security definer set search_path = finora, pg_temp as $$
  delete from guess where subject = of_subject
$$;

revoke all on all functions in schema finora from public;

grant execute on function finora.finora_tenant(), finora.finora_user(), finora.direction(text, numeric, uuid), finora.open_tenant(text, text, uuid, uuid), finora.find_person(text, text, text), finora.home_of(uuid), finora.my_tenants(), finora.members(), finora.people(uuid, integer, text), finora.guesses(bytea), finora.guessed_wrong(bytea, integer, interval), finora.guessed_right(bytea), finora.lock_balances(uuid[], text[]) to finora_api, finora_worker;

grant select, insert (user_id, id, purpose, identity_id, expires_at, used_at, tries), update (used_at, tries) on finora.challenge to finora_api;

grant select, delete on finora.challenge to finora_control;

grant select, insert (user_id, id, purpose, identity_id, expires_at, used_at, tries), update (used_at, tries) on finora.challenge to finora_worker;

grant select, delete on finora.guess to finora_control;

grant select, insert (user_id, id, kind, issuer, subject, label, data, verified_at, used_at), delete, update (label, data, verified_at, used_at) on finora.identity to finora_api;

grant select, insert (user_id, id, kind, issuer, subject, label, data, verified_at, used_at), delete, update (label, data, verified_at, used_at) on finora.identity to finora_worker;

grant select, insert (tenant_id, id, email, role, invited_by, expires_at, accepted_at, withdrawn_at), update (accepted_at, withdrawn_at) on finora.invite to finora_api;

grant select, insert (tenant_id, id, email, role, invited_by, expires_at, accepted_at, withdrawn_at), update (accepted_at, withdrawn_at) on finora.invite to finora_worker;

grant select, insert (tenant_id, user_id, role), delete, update (role) on finora.membership to finora_api;

grant select, insert (tenant_id, user_id, role), delete, update (role) on finora.membership to finora_worker;

grant select, insert (user_id, key, home_id, name, locale, currency, roles, password, codes, code_step, banned_at), update (name, locale, currency, roles, password, codes, code_step, banned_at) on finora.person to finora_api;

grant select, insert (user_id, key, home_id, name, locale, currency, roles, password, codes, code_step, banned_at), update (name, locale, currency, roles, password, codes, code_step, banned_at) on finora.person to finora_worker;

grant select, insert (user_id, id, kind, method, agent, network, seen_at, ends_at, proven_at, generation, rotated_at, ended_at, reason), update (seen_at, proven_at, generation, rotated_at, ended_at, reason) on finora.session to finora_api;

grant select, delete on finora.session to finora_control;

grant select, insert (user_id, id, kind, method, agent, network, seen_at, ends_at, proven_at, generation, rotated_at, ended_at, reason), update (seen_at, proven_at, generation, rotated_at, ended_at, reason) on finora.session to finora_worker;

grant select, insert (tenant_id, key, base_asset, kind, name), update (name, base_asset) on finora.tenant to finora_api;

grant select, insert (tenant_id, key, base_asset, kind, name), update (name, base_asset) on finora.tenant to finora_worker;

grant select, insert (tenant_id, id, user_id, name, digest, expires_at, revoked_at, permissions), update (revoked_at) on finora.token to finora_api;

grant select, insert (tenant_id, id, user_id, name, digest, expires_at, revoked_at, permissions), update (revoked_at) on finora.token to finora_worker;

create policy challenge_migrator on finora.challenge to finora_migrator using (user_id = (select finora.finora_user())) with check (user_id = (select finora.finora_user()));

create policy challenge_api on finora.challenge to finora_api using (user_id = (select finora.finora_user())) with check (user_id = (select finora.finora_user()));

create policy challenge_worker on finora.challenge to finora_worker using (user_id = (select finora.finora_user())) with check (user_id = (select finora.finora_user()));

create policy challenge_control on finora.challenge to finora_control using (true) with check (true);

create policy identity_migrator on finora.identity to finora_migrator using (true) with check (true);

create policy identity_api on finora.identity to finora_api using (user_id = (select finora.finora_user())) with check (user_id = (select finora.finora_user()));

create policy identity_worker on finora.identity to finora_worker using (user_id = (select finora.finora_user())) with check (user_id = (select finora.finora_user()));

create policy invite_migrator on finora.invite to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy invite_api on finora.invite to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy invite_worker on finora.invite to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy session_migrator on finora.session to finora_migrator using (user_id = (select finora.finora_user())) with check (user_id = (select finora.finora_user()));

create policy session_api on finora.session to finora_api using (user_id = (select finora.finora_user())) with check (user_id = (select finora.finora_user()));

create policy session_worker on finora.session to finora_worker using (user_id = (select finora.finora_user())) with check (user_id = (select finora.finora_user()));

create policy session_control on finora.session to finora_control using (true) with check (true);

alter table finora.challenge enable row level security;

alter table finora.challenge force row level security;

alter table finora.identity enable row level security;

alter table finora.identity force row level security;

alter table finora.invite enable row level security;

alter table finora.invite force row level security;

alter table finora.session enable row level security;

alter table finora.session force row level security;
