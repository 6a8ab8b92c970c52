CREATE TABLE finora.paused_queue (
	queue TEXT NOT NULL,
	paused_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT paused_queue_pkey PRIMARY KEY (queue)
);

CREATE TABLE finora.period (
	tenant_id UUID NOT NULL,
	schedule TEXT NOT NULL,
	due_at TIMESTAMP WITH TIME ZONE NOT NULL,
	job_id UUID NOT NULL,
	taken_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT period_pkey PRIMARY KEY (tenant_id, schedule, due_at)
);

CREATE TABLE finora.stored_file (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	user_id UUID NOT NULL,
	key TEXT NOT NULL,
	name TEXT NOT NULL,
	media_type TEXT NOT NULL,
	bytes BIGINT NOT NULL,
	sha256 BYTEA,
	state TEXT NOT NULL,
	reason TEXT,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT stored_file_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT stored_file_state_check CHECK (state in ('announced', 'kept', 'quarantined')),
	CONSTRAINT stored_file_bytes_check CHECK (bytes >= 0),
	CONSTRAINT stored_file_sha256_check CHECK (sha256 is null or octet_length(sha256) = 32)
);

CREATE INDEX stored_file_expires_at_idx ON finora.stored_file (expires_at) WHERE expires_at is not null;

CREATE INDEX stored_file_tenant_id_created_at_idx ON finora.stored_file (tenant_id, created_at);

CREATE TABLE finora.version (
	tenant_id UUID NOT NULL,
	number BIGINT NOT NULL,
	changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT version_pkey PRIMARY KEY (tenant_id)
);

CREATE TABLE finora.token (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	user_id UUID NOT NULL,
	name TEXT NOT NULL,
	digest BYTEA NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE,
	revoked_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT token_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT token_membership_fkey FOREIGN KEY(tenant_id, user_id) REFERENCES finora.membership (tenant_id, user_id),
	CONSTRAINT token_digest_check CHECK (octet_length(digest) = 32),
	CONSTRAINT token_name_check CHECK (length(name) between 1 and 200)
);

alter table finora.job add column announced_at timestamp with time zone;

create index job_wake_idx on finora.job (announced_at nulls first) where state in ('waiting', 'running');

create function finora.job_added() returns trigger
language plpgsql set search_path = finora, pg_temp as $$
begin
  perform pg_notify('finora_job', '');
  return null;
end $$;

revoke all on function finora.job_added() from public;

create trigger job_added after insert on finora.job for each statement execute function finora.job_added();

grant select, insert (tenant_id, id, name, queue, event_id, user_id, request_id, payload, state, attempts, max_attempts, run_at, lease_until, epoch, done_parts, all_parts, result, reason, message, error, started_at, finished_at, dismissed_at, announced_at), update (state, attempts, result, done_parts, run_at, finished_at, dismissed_at, announced_at) on finora.job to finora_api;

grant select, delete, update (state, attempts, max_attempts, run_at, lease_until, epoch, done_parts, all_parts, result, reason, message, error, started_at, finished_at, announced_at) on finora.job to finora_control;

grant select, insert (tenant_id, id, name, queue, event_id, user_id, request_id, payload, state, attempts, max_attempts, run_at, lease_until, epoch, done_parts, all_parts, result, reason, message, error, started_at, finished_at, dismissed_at, announced_at), update (state, attempts, result, done_parts, run_at, finished_at, dismissed_at, announced_at) on finora.job to finora_worker;

grant select, insert, delete on finora.paused_queue to finora_control;

grant select, insert (tenant_id, schedule, due_at, job_id) on finora.period to finora_api;

grant select, insert (tenant_id, schedule, due_at, job_id) on finora.period to finora_worker;

grant select on finora.statement_import to finora_control;

grant select, insert (tenant_id, id, user_id, key, name, media_type, bytes, sha256, state, reason, expires_at), delete, update (key, media_type, bytes, sha256, state, reason, expires_at) on finora.stored_file to finora_api;

grant select, delete on finora.stored_file to finora_control;

grant select, insert (tenant_id, id, user_id, key, name, media_type, bytes, sha256, state, reason, expires_at), delete, update (key, media_type, bytes, sha256, state, reason, expires_at) on finora.stored_file to finora_worker;

grant select, insert (tenant_id, id, user_id, name, digest, expires_at, revoked_at), update (revoked_at) on finora.token to finora_api;

grant select, insert (tenant_id, id, user_id, name, digest, expires_at, revoked_at), update (revoked_at) on finora.token to finora_worker;

grant select, insert, update (number, changed_at) on finora.version to finora_api;

grant select on finora.version to finora_control;

grant select, insert, update (number, changed_at) on finora.version to finora_worker;

create policy period_migrator on finora.period to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy period_api on finora.period to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy period_worker on finora.period to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy statement_import_control on finora.statement_import to finora_control using (true) with check (true);

create policy stored_file_migrator on finora.stored_file to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy stored_file_api on finora.stored_file to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy stored_file_worker on finora.stored_file to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy stored_file_control on finora.stored_file to finora_control using (true) with check (true);

create policy token_migrator on finora.token to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy token_api on finora.token to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy token_worker on finora.token to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy version_migrator on finora.version to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy version_api on finora.version to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy version_worker on finora.version to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy version_control on finora.version to finora_control using (true) with check (true);

alter table finora.period enable row level security;

alter table finora.period force row level security;

alter table finora.stored_file enable row level security;

alter table finora.stored_file force row level security;

alter table finora.token enable row level security;

alter table finora.token force row level security;

alter table finora.version enable row level security;

alter table finora.version force row level security;
