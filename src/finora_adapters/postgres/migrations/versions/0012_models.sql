CREATE TABLE finora.embedding (
	tenant_id UUID NOT NULL,
	model TEXT NOT NULL,
	key TEXT NOT NULL,
	dimension SMALLINT NOT NULL,
	vector vector NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT embedding_pkey PRIMARY KEY (tenant_id, model, key),
	CONSTRAINT embedding_dimension_check CHECK (vector_dims(vector) = dimension)
);

CREATE TABLE finora.model_use (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	user_id UUID NOT NULL,
	on_date DATE NOT NULL,
	purpose TEXT NOT NULL,
	subjects JSONB NOT NULL,
	state TEXT DEFAULT 'sending' NOT NULL,
	reserved BIGINT NOT NULL,
	model TEXT DEFAULT '' NOT NULL,
	tokens_in BIGINT DEFAULT '0' NOT NULL,
	tokens_out BIGINT DEFAULT '0' NOT NULL,
	cost_micros BIGINT DEFAULT '0' NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	settled_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT model_use_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT model_use_state_check CHECK (state in ('sending', 'answered', 'failed')),
	CONSTRAINT model_use_counts_check CHECK (least(reserved, tokens_in, tokens_out, cost_micros) >= 0),
	CONSTRAINT model_use_settled_check CHECK ((state = 'sending') = (settled_at is null))
);

CREATE INDEX model_use_tenant_id_on_date_idx ON finora.model_use (tenant_id, on_date);

grant select, insert (tenant_id, model, key, dimension, vector) on finora.embedding to finora_api;

grant select (tenant_id), delete on finora.embedding to finora_eraser;

grant select, insert (tenant_id, model, key, dimension, vector) on finora.embedding to finora_worker;

grant select, insert (tenant_id, id, user_id, on_date, purpose, subjects, state, reserved, model, tokens_in, tokens_out, cost_micros, settled_at), update (state, model, tokens_in, tokens_out, cost_micros, settled_at) on finora.model_use to finora_api;

grant select (tenant_id), delete on finora.model_use to finora_eraser;

grant select, insert (tenant_id, id, user_id, on_date, purpose, subjects, state, reserved, model, tokens_in, tokens_out, cost_micros, settled_at), update (state, model, tokens_in, tokens_out, cost_micros, settled_at) on finora.model_use to finora_worker;

create policy embedding_migrator on finora.embedding to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy embedding_api on finora.embedding to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy embedding_worker on finora.embedding to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy embedding_eraser on finora.embedding to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy model_use_migrator on finora.model_use to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy model_use_api on finora.model_use to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy model_use_worker on finora.model_use to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy model_use_eraser on finora.model_use to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

alter table finora.embedding enable row level security;

alter table finora.embedding force row level security;

alter table finora.model_use enable row level security;

alter table finora.model_use force row level security;
