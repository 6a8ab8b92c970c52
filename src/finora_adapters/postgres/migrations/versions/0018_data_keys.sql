CREATE TABLE finora.data_plan (
	tenant_id UUID NOT NULL,
	key_id UUID NOT NULL,
	monthly BIGINT,
	requests INTEGER,
	seconds INTEGER,
	blocked_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT data_plan_pkey PRIMARY KEY (tenant_id, key_id),
	CONSTRAINT data_plan_token_fkey FOREIGN KEY(tenant_id, key_id) REFERENCES finora.token (tenant_id, id) ON DELETE CASCADE,
	CONSTRAINT data_plan_monthly_check CHECK (monthly > 0),
	CONSTRAINT data_plan_window_check CHECK ((requests is null) = (seconds is null)),
	CONSTRAINT data_plan_counts_check CHECK (least(requests, seconds) > 0)
);

CREATE TABLE finora.data_use (
	tenant_id UUID NOT NULL,
	key_id UUID NOT NULL,
	on_date DATE NOT NULL,
	source TEXT NOT NULL,
	meter UUID NOT NULL,
	requests BIGINT NOT NULL,
	cost_micros BIGINT NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT data_use_pkey PRIMARY KEY (tenant_id, key_id, on_date, source, meter, requests, cost_micros),
	CONSTRAINT data_use_tenant_fkey FOREIGN KEY(tenant_id) REFERENCES finora.tenant (tenant_id),
	CONSTRAINT data_use_counts_check CHECK (requests > 0 and cost_micros >= 0),
	CONSTRAINT data_use_source_check CHECK (length(source) between 1 and 64)
);

CREATE INDEX data_use_tenant_id_on_date_idx ON finora.data_use (tenant_id, on_date);

create trigger data_use_fixed before update or delete or truncate on finora.data_use for each statement execute function finora.refuse_change();

grant select, insert, update (monthly, requests, seconds, blocked_at) on finora.data_plan to finora_api;

grant select (tenant_id), delete on finora.data_plan to finora_eraser;

grant select, insert, update (monthly, requests, seconds, blocked_at) on finora.data_plan to finora_worker;

grant select, insert (tenant_id, key_id, on_date, source, meter, requests, cost_micros) on finora.data_use to finora_api;

grant select (tenant_id), delete on finora.data_use to finora_eraser;

grant select, insert (tenant_id, key_id, on_date, source, meter, requests, cost_micros) on finora.data_use to finora_worker;

create policy data_plan_migrator on finora.data_plan to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy data_plan_api on finora.data_plan to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy data_plan_worker on finora.data_plan to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy data_plan_eraser on finora.data_plan to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy data_use_migrator on finora.data_use to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy data_use_api on finora.data_use to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy data_use_worker on finora.data_use to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy data_use_eraser on finora.data_use to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

alter table finora.data_plan enable row level security;

alter table finora.data_plan force row level security;

alter table finora.data_use enable row level security;

alter table finora.data_use force row level security;
