CREATE TABLE finora.budget (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	name TEXT NOT NULL,
	category TEXT NOT NULL,
	period TEXT NOT NULL,
	rollover TEXT NOT NULL,
	asset TEXT NOT NULL,
	starts_on DATE NOT NULL,
	created_by UUID NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT budget_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT budget_tenant_fkey FOREIGN KEY(tenant_id) REFERENCES finora.tenant (tenant_id),
	CONSTRAINT budget_asset_fkey FOREIGN KEY(asset) REFERENCES finora.asset (id),
	CONSTRAINT budget_period_check CHECK (period in ('WEEKLY', 'MONTHLY', 'YEARLY')),
	CONSTRAINT budget_rollover_check CHECK (rollover in ('none', 'surplus', 'all')),
	CONSTRAINT budget_name_check CHECK (length(name) between 1 and 200),
	CONSTRAINT budget_category_check CHECK (length(category) between 1 and 200)
);

CREATE TABLE finora.goal (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	name TEXT NOT NULL,
	units finora.money_units NOT NULL,
	asset TEXT NOT NULL,
	by_date DATE,
	created_by UUID NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	reached_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT goal_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT goal_tenant_fkey FOREIGN KEY(tenant_id) REFERENCES finora.tenant (tenant_id),
	CONSTRAINT goal_asset_fkey FOREIGN KEY(asset) REFERENCES finora.asset (id),
	CONSTRAINT goal_name_check CHECK (length(name) between 1 and 200),
	CONSTRAINT goal_units_check CHECK (units > 0)
);

CREATE TABLE finora.receipt (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	file_id UUID NOT NULL,
	record_id UUID,
	units finora.money_units,
	asset TEXT,
	on_date DATE,
	merchant TEXT,
	added_by UUID NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT receipt_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT receipt_tenant_id_file_id_key UNIQUE (tenant_id, file_id),
	CONSTRAINT receipt_stored_file_fkey FOREIGN KEY(tenant_id, file_id) REFERENCES finora.stored_file (tenant_id, id) ON DELETE CASCADE,
	CONSTRAINT receipt_record_fkey FOREIGN KEY(tenant_id, record_id) REFERENCES finora.record (tenant_id, id),
	CONSTRAINT receipt_asset_fkey FOREIGN KEY(asset) REFERENCES finora.asset (id),
	CONSTRAINT receipt_units_check CHECK ((units is null) = (asset is null) and units > 0),
	CONSTRAINT receipt_merchant_check CHECK (length(merchant) between 1 and 200)
);

CREATE INDEX receipt_tenant_id_created_at_idx ON finora.receipt (tenant_id, created_at);

CREATE INDEX receipt_tenant_id_record_id_idx ON finora.receipt (tenant_id, record_id);

CREATE TABLE finora.recurring_verdict (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	verdict TEXT NOT NULL,
	said_by UUID NOT NULL,
	said_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT recurring_verdict_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT recurring_verdict_tenant_fkey FOREIGN KEY(tenant_id) REFERENCES finora.tenant (tenant_id),
	CONSTRAINT recurring_verdict_verdict_check CHECK (verdict in ('confirmed', 'ignored'))
);

CREATE TABLE finora.budget_alert (
	tenant_id UUID NOT NULL,
	budget_id UUID NOT NULL,
	since DATE NOT NULL,
	level SMALLINT NOT NULL,
	units finora.money_units NOT NULL,
	available finora.money_units NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT budget_alert_pkey PRIMARY KEY (tenant_id, budget_id, since, level),
	CONSTRAINT budget_alert_budget_fkey FOREIGN KEY(tenant_id, budget_id) REFERENCES finora.budget (tenant_id, id) ON DELETE CASCADE,
	CONSTRAINT budget_alert_level_check CHECK (level between 1 and 100)
);

CREATE TABLE finora.budget_limit (
	tenant_id UUID NOT NULL,
	budget_id UUID NOT NULL,
	since DATE NOT NULL,
	units finora.money_units NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT budget_limit_pkey PRIMARY KEY (tenant_id, budget_id, since),
	CONSTRAINT budget_limit_budget_fkey FOREIGN KEY(tenant_id, budget_id) REFERENCES finora.budget (tenant_id, id) ON DELETE CASCADE,
	CONSTRAINT budget_limit_units_check CHECK (units > 0)
);

CREATE TABLE finora.goal_share (
	tenant_id UUID NOT NULL,
	goal_id UUID NOT NULL,
	account_id UUID NOT NULL,
	percent SMALLINT NOT NULL,
	CONSTRAINT goal_share_pkey PRIMARY KEY (tenant_id, goal_id, account_id),
	CONSTRAINT goal_share_goal_fkey FOREIGN KEY(tenant_id, goal_id) REFERENCES finora.goal (tenant_id, id) ON DELETE CASCADE,
	CONSTRAINT goal_share_account_fkey FOREIGN KEY(tenant_id, account_id) REFERENCES finora.account (tenant_id, id),
	CONSTRAINT goal_share_percent_check CHECK (percent between 1 and 100)
);

grant select, insert (tenant_id, id, name, category, period, rollover, asset, starts_on, created_by), delete, update (name, category, rollover) on finora.budget to finora_api;

grant select (tenant_id), delete on finora.budget to finora_eraser;

grant select, insert (tenant_id, id, name, category, period, rollover, asset, starts_on, created_by), delete, update (name, category, rollover) on finora.budget to finora_worker;

grant select, insert (tenant_id, budget_id, since, level, units, available) on finora.budget_alert to finora_api;

grant select (tenant_id), delete on finora.budget_alert to finora_eraser;

grant select, insert (tenant_id, budget_id, since, level, units, available) on finora.budget_alert to finora_worker;

grant select, insert (tenant_id, budget_id, since, units), delete on finora.budget_limit to finora_api;

grant select (tenant_id), delete on finora.budget_limit to finora_eraser;

grant select, insert (tenant_id, budget_id, since, units), delete on finora.budget_limit to finora_worker;

grant select, insert (tenant_id, id, name, units, asset, by_date, created_by, reached_at), delete, update (name, units, by_date, reached_at) on finora.goal to finora_api;

grant select (tenant_id), delete on finora.goal to finora_eraser;

grant select, insert (tenant_id, id, name, units, asset, by_date, created_by, reached_at), delete, update (name, units, by_date, reached_at) on finora.goal to finora_worker;

grant select, insert, delete on finora.goal_share to finora_api;

grant select (tenant_id), delete on finora.goal_share to finora_eraser;

grant select, insert, delete on finora.goal_share to finora_worker;

grant select, insert (tenant_id, id, file_id, record_id, units, asset, on_date, merchant, added_by), delete, update (record_id) on finora.receipt to finora_api;

grant select (tenant_id), delete on finora.receipt to finora_eraser;

grant select, insert (tenant_id, id, file_id, record_id, units, asset, on_date, merchant, added_by), delete, update (record_id) on finora.receipt to finora_worker;

grant select, insert, delete, update (verdict, said_by, said_at) on finora.recurring_verdict to finora_api;

grant select (tenant_id), delete on finora.recurring_verdict to finora_eraser;

grant select, insert, delete, update (verdict, said_by, said_at) on finora.recurring_verdict to finora_worker;

create policy budget_migrator on finora.budget to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy budget_api on finora.budget to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy budget_worker on finora.budget to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy budget_eraser on finora.budget to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy budget_alert_migrator on finora.budget_alert to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy budget_alert_api on finora.budget_alert to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy budget_alert_worker on finora.budget_alert to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy budget_alert_eraser on finora.budget_alert to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy budget_limit_migrator on finora.budget_limit to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy budget_limit_api on finora.budget_limit to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy budget_limit_worker on finora.budget_limit to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy budget_limit_eraser on finora.budget_limit to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy goal_migrator on finora.goal to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy goal_api on finora.goal to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy goal_worker on finora.goal to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy goal_eraser on finora.goal to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy goal_share_migrator on finora.goal_share to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy goal_share_api on finora.goal_share to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy goal_share_worker on finora.goal_share to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy goal_share_eraser on finora.goal_share to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy receipt_migrator on finora.receipt to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy receipt_api on finora.receipt to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy receipt_worker on finora.receipt to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy receipt_eraser on finora.receipt to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy recurring_verdict_migrator on finora.recurring_verdict to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy recurring_verdict_api on finora.recurring_verdict to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy recurring_verdict_worker on finora.recurring_verdict to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy recurring_verdict_eraser on finora.recurring_verdict to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

alter table finora.budget enable row level security;

alter table finora.budget force row level security;

alter table finora.budget_alert enable row level security;

alter table finora.budget_alert force row level security;

alter table finora.budget_limit enable row level security;

alter table finora.budget_limit force row level security;

alter table finora.goal enable row level security;

alter table finora.goal force row level security;

alter table finora.goal_share enable row level security;

alter table finora.goal_share force row level security;

alter table finora.receipt enable row level security;

alter table finora.receipt force row level security;

alter table finora.recurring_verdict enable row level security;

alter table finora.recurring_verdict force row level security;
