CREATE TABLE finora.key_version (
	version BIGINT NOT NULL,
	check_value BYTEA NOT NULL,
	first_used_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT key_version_pkey PRIMARY KEY (version),
	CONSTRAINT key_version_version_check CHECK (version > 0),
	CONSTRAINT key_version_check_value_check CHECK (octet_length(check_value) = 32)
);

CREATE TABLE finora.data_key (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	kek_version BIGINT NOT NULL,
	wrapped BYTEA NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT data_key_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT data_key_key_version_fkey FOREIGN KEY(kek_version) REFERENCES finora.key_version (version),
	CONSTRAINT data_key_wrapped_check CHECK (octet_length(wrapped) = 60)
);

CREATE TABLE finora.signing_key (
	kid TEXT NOT NULL,
	kek_version BIGINT NOT NULL,
	wrapped BYTEA NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	retires_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT signing_key_pkey PRIMARY KEY (kid),
	CONSTRAINT signing_key_key_version_fkey FOREIGN KEY(kek_version) REFERENCES finora.key_version (version),
	CONSTRAINT signing_key_kid_check CHECK (kid ~ '^[0-9a-f]{16}$'),
	CONSTRAINT signing_key_wrapped_check CHECK (octet_length(wrapped) = 60)
);

CREATE TABLE finora.secret (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	user_id UUID NOT NULL,
	institution TEXT NOT NULL,
	type TEXT NOT NULL,
	version INTEGER NOT NULL,
	is_active BOOLEAN DEFAULT true NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	last_used_at TIMESTAMP WITH TIME ZONE,
	expires_at TIMESTAMP WITH TIME ZONE,
	sync_blocked_until TIMESTAMP WITH TIME ZONE,
	failures INTEGER DEFAULT '0' NOT NULL,
	CONSTRAINT secret_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT secret_tenant_id_user_id_institution_key UNIQUE (tenant_id, user_id, institution),
	CONSTRAINT secret_membership_fkey FOREIGN KEY(tenant_id, user_id) REFERENCES finora.membership (tenant_id, user_id) ON DELETE CASCADE,
	CONSTRAINT secret_institution_check CHECK (institution ~ '^[a-z][a-z0-9._-]{0,63}$'),
	CONSTRAINT secret_type_check CHECK (type ~ '^[a-z][a-z0-9._-]{0,63}$'),
	CONSTRAINT secret_version_check CHECK (version > 0),
	CONSTRAINT secret_failures_check CHECK (failures >= 0)
);

CREATE TABLE finora.secret_field (
	tenant_id UUID NOT NULL,
	secret_id UUID NOT NULL,
	name TEXT NOT NULL,
	data_key_id UUID NOT NULL,
	nonce BYTEA NOT NULL,
	content BYTEA NOT NULL,
	CONSTRAINT secret_field_pkey PRIMARY KEY (tenant_id, secret_id, name),
	CONSTRAINT secret_field_tenant_id_data_key_id_nonce_key UNIQUE (tenant_id, data_key_id, nonce),
	CONSTRAINT secret_field_secret_fkey FOREIGN KEY(tenant_id, secret_id) REFERENCES finora.secret (tenant_id, id) ON DELETE CASCADE,
	CONSTRAINT secret_field_data_key_fkey FOREIGN KEY(tenant_id, data_key_id) REFERENCES finora.data_key (tenant_id, id),
	CONSTRAINT secret_field_name_check CHECK (name ~ '^[a-z][a-z0-9_]{0,39}$'),
	CONSTRAINT secret_field_nonce_check CHECK (octet_length(nonce) = 12),
	CONSTRAINT secret_field_content_check CHECK (octet_length(content) between 17 and 16400)
);

grant select, insert (tenant_id, id, kek_version, wrapped), delete, update (kek_version, wrapped) on finora.data_key to finora_api;

grant select (tenant_id, id, kek_version, created_at) on finora.data_key to finora_control;

grant select, insert (tenant_id, id, kek_version, wrapped), delete, update (kek_version, wrapped) on finora.data_key to finora_worker;

grant select, insert (version, check_value) on finora.key_version to finora_api;

grant select, insert (version, check_value) on finora.key_version to finora_control;

grant select, insert (version, check_value) on finora.key_version to finora_worker;

grant select, insert (tenant_id, id, user_id, institution, type, version, is_active, changed_at, last_used_at, expires_at, sync_blocked_until, failures), delete, update (type, version, is_active, changed_at, last_used_at, expires_at, sync_blocked_until, failures) on finora.secret to finora_api;

grant select, insert (tenant_id, id, user_id, institution, type, version, is_active, changed_at, last_used_at, expires_at, sync_blocked_until, failures), delete, update (type, version, is_active, changed_at, last_used_at, expires_at, sync_blocked_until, failures) on finora.secret to finora_worker;

grant select, insert, delete, update (data_key_id, nonce, content) on finora.secret_field to finora_api;

grant select, insert, delete, update (data_key_id, nonce, content) on finora.secret_field to finora_worker;

grant select on finora.signing_key to finora_api;

grant select, insert (kid, kek_version, wrapped, retires_at), delete, update (kek_version, wrapped, retires_at) on finora.signing_key to finora_control;

grant select on finora.signing_key to finora_worker;

create policy data_key_migrator on finora.data_key to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy data_key_api on finora.data_key to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy data_key_worker on finora.data_key to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy data_key_control on finora.data_key to finora_control using (true) with check (true);

create policy secret_migrator on finora.secret to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy secret_api on finora.secret to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy secret_worker on finora.secret to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy secret_field_migrator on finora.secret_field to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy secret_field_api on finora.secret_field to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy secret_field_worker on finora.secret_field to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

alter table finora.data_key enable row level security;

alter table finora.data_key force row level security;

alter table finora.secret enable row level security;

alter table finora.secret force row level security;

alter table finora.secret_field enable row level security;

alter table finora.secret_field force row level security;
