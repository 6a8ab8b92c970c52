create domain finora.unit_price as numeric check (value >= 0 and value < 'Infinity'::numeric);

CREATE TABLE finora.own_asset (
	tenant_id UUID NOT NULL,
	asset TEXT NOT NULL,
	name TEXT NOT NULL,
	quote TEXT NOT NULL,
	created_by UUID NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT own_asset_pkey PRIMARY KEY (tenant_id, asset),
	CONSTRAINT own_asset_tenant_id_name_key UNIQUE (tenant_id, name),
	CONSTRAINT own_asset_tenant_fkey FOREIGN KEY(tenant_id) REFERENCES finora.tenant (tenant_id),
	CONSTRAINT own_asset_asset_fkey FOREIGN KEY(asset) REFERENCES finora.asset (id),
	CONSTRAINT own_asset_quote_fkey FOREIGN KEY(quote) REFERENCES finora.asset (id),
	CONSTRAINT own_asset_name_check CHECK (length(name) between 1 and 200)
);

CREATE TABLE finora.portfolio_day (
	tenant_id UUID NOT NULL,
	scope TEXT NOT NULL,
	scope_id TEXT NOT NULL,
	base TEXT NOT NULL,
	day DATE NOT NULL,
	units finora.money_units NOT NULL,
	cost finora.money_units NOT NULL,
	realised finora.money_units NOT NULL,
	holdings INTEGER NOT NULL,
	priced INTEGER NOT NULL,
	stale INTEGER NOT NULL,
	costless INTEGER NOT NULL,
	CONSTRAINT portfolio_day_pkey PRIMARY KEY (tenant_id, scope, scope_id, base, day),
	CONSTRAINT portfolio_day_tenant_fkey FOREIGN KEY(tenant_id) REFERENCES finora.tenant (tenant_id),
	CONSTRAINT portfolio_day_scope_check CHECK (scope in ('user', 'institution', 'account'))
);

CREATE TABLE finora.portfolio_history (
	tenant_id UUID NOT NULL,
	base TEXT NOT NULL,
	built_through DATE NOT NULL,
	loads BIGINT NOT NULL,
	rates BIGINT NOT NULL,
	built_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT portfolio_history_pkey PRIMARY KEY (tenant_id, base),
	CONSTRAINT portfolio_history_tenant_fkey FOREIGN KEY(tenant_id) REFERENCES finora.tenant (tenant_id)
);

CREATE TABLE finora.own_price (
	tenant_id UUID NOT NULL,
	asset TEXT NOT NULL,
	quote TEXT NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	revision INTEGER NOT NULL,
	value finora.rate NOT NULL,
	reason TEXT NOT NULL,
	set_by UUID NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT own_price_pkey PRIMARY KEY (tenant_id, asset, quote, at, revision),
	CONSTRAINT own_price_own_asset_fkey FOREIGN KEY(tenant_id, asset) REFERENCES finora.own_asset (tenant_id, asset),
	CONSTRAINT own_price_quote_fkey FOREIGN KEY(quote) REFERENCES finora.asset (id),
	CONSTRAINT own_price_revision_check CHECK (revision > 0),
	CONSTRAINT own_price_reason_check CHECK (length(reason) <= 500)
);

CREATE TABLE finora.portfolio_account (
	tenant_id UUID NOT NULL,
	account_id UUID NOT NULL,
	institution TEXT NOT NULL,
	name TEXT NOT NULL,
	type TEXT NOT NULL,
	owner UUID NOT NULL,
	hidden BOOLEAN DEFAULT 'false' NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT portfolio_account_pkey PRIMARY KEY (tenant_id, account_id),
	CONSTRAINT portfolio_account_account_fkey FOREIGN KEY(tenant_id, account_id) REFERENCES finora.account (tenant_id, id),
	CONSTRAINT portfolio_account_tenant_id_institution_name_key UNIQUE (tenant_id, institution, name),
	CONSTRAINT portfolio_account_name_check CHECK (length(name) between 1 and 100)
);

CREATE TABLE finora.activity (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	account_id UUID NOT NULL,
	kind TEXT NOT NULL,
	asset TEXT NOT NULL,
	units finora.money_units NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	price finora.unit_price,
	quote TEXT,
	counter_units finora.money_units,
	counter_asset TEXT,
	fee_units finora.money_units,
	fee_asset TEXT,
	tax_units finora.money_units,
	tax_asset TEXT,
	settled BOOLEAN NOT NULL,
	source TEXT NOT NULL,
	external_id TEXT,
	note TEXT NOT NULL,
	entry_id UUID,
	import_id UUID,
	created_by UUID NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT activity_pkey PRIMARY KEY (tenant_id, id),
	CONSTRAINT activity_tenant_id_account_id_source_external_id_key UNIQUE (tenant_id, account_id, source, external_id),
	CONSTRAINT activity_portfolio_account_fkey FOREIGN KEY(tenant_id, account_id) REFERENCES finora.portfolio_account (tenant_id, account_id),
	CONSTRAINT activity_entry_fkey FOREIGN KEY(tenant_id, entry_id) REFERENCES finora.entry (tenant_id, id),
	CONSTRAINT activity_kind_check CHECK (kind in ('buy', 'sell', 'deposit', 'withdraw', 'transfer_in', 'transfer_out', 'swap_in', 'swap_out', 'fee', 'tax', 'reward', 'interest', 'dividend', 'airdrop', 'opening_balance', 'unknown')),
	CONSTRAINT activity_quote_check CHECK ((price is null) = (quote is null)),
	CONSTRAINT activity_counter_check CHECK ((counter_units is null) = (counter_asset is null)),
	CONSTRAINT activity_fee_check CHECK ((fee_units is null) = (fee_asset is null)),
	CONSTRAINT activity_tax_check CHECK ((tax_units is null) = (tax_asset is null)),
	CONSTRAINT activity_note_check CHECK (length(note) <= 1000)
);

CREATE INDEX activity_tenant_id_at_id_idx ON finora.activity (tenant_id, at, id);

CREATE TABLE finora.holding_choice (
	tenant_id UUID NOT NULL,
	account_id UUID NOT NULL,
	asset TEXT NOT NULL,
	included BOOLEAN NOT NULL,
	CONSTRAINT holding_choice_pkey PRIMARY KEY (tenant_id, account_id, asset),
	CONSTRAINT holding_choice_portfolio_account_fkey FOREIGN KEY(tenant_id, account_id) REFERENCES finora.portfolio_account (tenant_id, account_id),
	CONSTRAINT holding_choice_asset_fkey FOREIGN KEY(asset) REFERENCES finora.asset (id)
);

CREATE TABLE finora.holding_observation (
	tenant_id UUID NOT NULL,
	account_id UUID NOT NULL,
	asset TEXT NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	source TEXT NOT NULL,
	units finora.money_units NOT NULL,
	observed_by UUID NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT holding_observation_pkey PRIMARY KEY (tenant_id, account_id, asset, at, source),
	CONSTRAINT holding_observation_portfolio_account_fkey FOREIGN KEY(tenant_id, account_id) REFERENCES finora.portfolio_account (tenant_id, account_id),
	CONSTRAINT holding_observation_asset_fkey FOREIGN KEY(asset) REFERENCES finora.asset (id),
	CONSTRAINT holding_observation_source_check CHECK (source in ('sync-capture', 'statement-close', 'screenshot', 'user-entered', 'manual-correction'))
);

CREATE TABLE finora.activity_end (
	tenant_id UUID NOT NULL,
	activity_id UUID NOT NULL,
	replaced_by UUID,
	entry_id UUID,
	ended_by UUID NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT activity_end_pkey PRIMARY KEY (tenant_id, activity_id),
	CONSTRAINT activity_end_activity_fkey FOREIGN KEY(tenant_id, activity_id) REFERENCES finora.activity (tenant_id, id),
	CONSTRAINT activity_end_entry_fkey FOREIGN KEY(tenant_id, entry_id) REFERENCES finora.entry (tenant_id, id)
);

create trigger activity_fixed before update or delete or truncate on finora.activity for each statement execute function finora.refuse_change();

create trigger activity_end_fixed before update or delete or truncate on finora.activity_end for each statement execute function finora.refuse_change();

create trigger holding_observation_fixed before update or delete or truncate on finora.holding_observation for each statement execute function finora.refuse_change();

create trigger own_price_fixed before update or delete or truncate on finora.own_price for each statement execute function finora.refuse_change();

grant select, insert (tenant_id, id, account_id, kind, asset, units, at, price, quote, counter_units, counter_asset, fee_units, fee_asset, tax_units, tax_asset, settled, source, external_id, note, entry_id, import_id, created_by) on finora.activity to finora_api;

grant select (tenant_id), delete on finora.activity to finora_eraser;

grant select, insert (tenant_id, id, account_id, kind, asset, units, at, price, quote, counter_units, counter_asset, fee_units, fee_asset, tax_units, tax_asset, settled, source, external_id, note, entry_id, import_id, created_by) on finora.activity to finora_worker;

grant select, insert (tenant_id, activity_id, replaced_by, entry_id, ended_by) on finora.activity_end to finora_api;

grant select (tenant_id), delete on finora.activity_end to finora_eraser;

grant select, insert (tenant_id, activity_id, replaced_by, entry_id, ended_by) on finora.activity_end to finora_worker;

grant select, insert, update (included) on finora.holding_choice to finora_api;

grant select (tenant_id), delete on finora.holding_choice to finora_eraser;

grant select, insert, update (included) on finora.holding_choice to finora_worker;

grant select, insert (tenant_id, account_id, asset, at, source, units, observed_by) on finora.holding_observation to finora_api;

grant select (tenant_id), delete on finora.holding_observation to finora_eraser;

grant select, insert (tenant_id, account_id, asset, at, source, units, observed_by) on finora.holding_observation to finora_worker;

grant select, insert (tenant_id, asset, name, quote, created_by) on finora.own_asset to finora_api;

grant select (tenant_id), delete on finora.own_asset to finora_eraser;

grant select, insert (tenant_id, asset, name, quote, created_by) on finora.own_asset to finora_worker;

grant select, insert (tenant_id, asset, quote, at, revision, value, reason, set_by) on finora.own_price to finora_api;

grant select (tenant_id), delete on finora.own_price to finora_eraser;

grant select, insert (tenant_id, asset, quote, at, revision, value, reason, set_by) on finora.own_price to finora_worker;

grant select, insert (tenant_id, account_id, institution, name, type, owner, hidden), update (hidden) on finora.portfolio_account to finora_api;

grant select (tenant_id), delete on finora.portfolio_account to finora_eraser;

grant select, insert (tenant_id, account_id, institution, name, type, owner, hidden), update (hidden) on finora.portfolio_account to finora_worker;

grant select, insert, delete on finora.portfolio_day to finora_api;

grant select (tenant_id), delete on finora.portfolio_day to finora_eraser;

grant select, insert, delete on finora.portfolio_day to finora_worker;

grant select, insert (tenant_id, base, built_through, loads, rates), delete, update (built_through, loads, rates) on finora.portfolio_history to finora_api;

grant select (tenant_id), delete on finora.portfolio_history to finora_eraser;

grant select, insert (tenant_id, base, built_through, loads, rates), delete, update (built_through, loads, rates) on finora.portfolio_history to finora_worker;

create policy activity_migrator on finora.activity to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy activity_api on finora.activity to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy activity_worker on finora.activity to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy activity_eraser on finora.activity to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy activity_end_migrator on finora.activity_end to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy activity_end_api on finora.activity_end to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy activity_end_worker on finora.activity_end to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy activity_end_eraser on finora.activity_end to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy holding_choice_migrator on finora.holding_choice to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy holding_choice_api on finora.holding_choice to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy holding_choice_worker on finora.holding_choice to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy holding_choice_eraser on finora.holding_choice to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy holding_observation_migrator on finora.holding_observation to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy holding_observation_api on finora.holding_observation to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy holding_observation_worker on finora.holding_observation to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy holding_observation_eraser on finora.holding_observation to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy own_asset_migrator on finora.own_asset to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy own_asset_api on finora.own_asset to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy own_asset_worker on finora.own_asset to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy own_asset_eraser on finora.own_asset to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy own_price_migrator on finora.own_price to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy own_price_api on finora.own_price to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy own_price_worker on finora.own_price to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy own_price_eraser on finora.own_price to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy portfolio_account_migrator on finora.portfolio_account to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy portfolio_account_api on finora.portfolio_account to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy portfolio_account_worker on finora.portfolio_account to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy portfolio_account_eraser on finora.portfolio_account to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy portfolio_day_migrator on finora.portfolio_day to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy portfolio_day_api on finora.portfolio_day to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy portfolio_day_worker on finora.portfolio_day to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy portfolio_day_eraser on finora.portfolio_day to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy portfolio_history_migrator on finora.portfolio_history to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy portfolio_history_api on finora.portfolio_history to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy portfolio_history_worker on finora.portfolio_history to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy portfolio_history_eraser on finora.portfolio_history to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

alter table finora.activity enable row level security;

alter table finora.activity force row level security;

alter table finora.activity_end enable row level security;

alter table finora.activity_end force row level security;

alter table finora.holding_choice enable row level security;

alter table finora.holding_choice force row level security;

alter table finora.holding_observation enable row level security;

alter table finora.holding_observation force row level security;

alter table finora.own_asset enable row level security;

alter table finora.own_asset force row level security;

alter table finora.own_price enable row level security;

alter table finora.own_price force row level security;

alter table finora.portfolio_account enable row level security;

alter table finora.portfolio_account force row level security;

alter table finora.portfolio_day enable row level security;

alter table finora.portfolio_day force row level security;

alter table finora.portfolio_history enable row level security;

alter table finora.portfolio_history force row level security;
