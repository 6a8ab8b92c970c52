CREATE TABLE finora.price (
	asset TEXT NOT NULL,
	quote TEXT NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	granularity TEXT NOT NULL,
	source TEXT NOT NULL,
	revision INTEGER NOT NULL,
	value finora.rate NOT NULL,
	number BIGINT NOT NULL,
	CONSTRAINT price_pkey PRIMARY KEY (asset, quote, at, granularity, source, revision),
	CONSTRAINT price_granularity_check CHECK (granularity in ('intraday', 'daily', 'exact'))
);

CREATE TABLE finora.price_load (
	number BIGINT NOT NULL,
	source TEXT NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT price_load_pkey PRIMARY KEY (number),
	CONSTRAINT price_load_source_check CHECK (source ~ '^[a-z][a-z0-9._-]{0,63}$')
);

CREATE TABLE finora.asset_identity (
	asset TEXT NOT NULL,
	symbol TEXT NOT NULL,
	kind TEXT NOT NULL,
	segment TEXT NOT NULL,
	title TEXT NOT NULL,
	skeleton TEXT NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT asset_identity_pkey PRIMARY KEY (asset),
	CONSTRAINT asset_identity_asset_fkey FOREIGN KEY(asset) REFERENCES finora.asset (id),
	CONSTRAINT asset_identity_symbol_kind_segment_key UNIQUE (symbol, kind, segment),
	CONSTRAINT asset_identity_kind_check CHECK (kind in ('currency', 'crypto', 'security', 'other')),
	CONSTRAINT asset_identity_symbol_check CHECK (length(symbol) between 1 and 64),
	CONSTRAINT asset_identity_segment_check CHECK (length(segment) <= 200),
	CONSTRAINT asset_identity_title_check CHECK (length(title) <= 200)
);

CREATE INDEX asset_identity_skeleton_idx ON finora.asset_identity (skeleton);

CREATE TABLE finora.price_absence (
	asset TEXT NOT NULL,
	quote TEXT NOT NULL,
	said_at TIMESTAMP WITH TIME ZONE NOT NULL,
	until TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT price_absence_pkey PRIMARY KEY (asset, quote, said_at),
	CONSTRAINT price_absence_asset_fkey FOREIGN KEY(asset) REFERENCES finora.asset (id),
	CONSTRAINT price_absence_quote_fkey FOREIGN KEY(quote) REFERENCES finora.asset (id)
);

CREATE TABLE finora.price_action (
	asset TEXT NOT NULL,
	quote TEXT NOT NULL,
	on_date DATE NOT NULL,
	kind TEXT NOT NULL,
	source TEXT NOT NULL,
	revision INTEGER NOT NULL,
	value finora.rate NOT NULL,
	number BIGINT NOT NULL,
	CONSTRAINT price_action_pkey PRIMARY KEY (asset, quote, on_date, kind, source, revision),
	CONSTRAINT price_action_asset_fkey FOREIGN KEY(asset) REFERENCES finora.asset (id),
	CONSTRAINT price_action_quote_fkey FOREIGN KEY(quote) REFERENCES finora.asset (id),
	CONSTRAINT price_action_price_load_fkey FOREIGN KEY(number) REFERENCES finora.price_load (number),
	CONSTRAINT price_action_kind_check CHECK (kind in ('split', 'dividend'))
);

CREATE TABLE finora.price_pair (
	asset TEXT NOT NULL,
	quote TEXT NOT NULL,
	CONSTRAINT price_pair_pkey PRIMARY KEY (asset, quote),
	CONSTRAINT price_pair_asset_fkey FOREIGN KEY(asset) REFERENCES finora.asset (id),
	CONSTRAINT price_pair_quote_fkey FOREIGN KEY(quote) REFERENCES finora.asset (id),
	CONSTRAINT price_pair_quote_check CHECK (asset <> quote)
);

CREATE TABLE finora.asset_name (
	namespace TEXT NOT NULL,
	name TEXT NOT NULL,
	asset TEXT NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT asset_name_pkey PRIMARY KEY (namespace, name),
	CONSTRAINT asset_name_asset_identity_fkey FOREIGN KEY(asset) REFERENCES finora.asset_identity (asset),
	CONSTRAINT asset_name_asset_namespace_key UNIQUE (asset, namespace),
	CONSTRAINT asset_name_namespace_check CHECK (namespace ~ '^[a-z][a-z0-9._-]{0,63}$'),
	CONSTRAINT asset_name_name_check CHECK (length(name) between 1 and 200)
);

CREATE TABLE finora.asset_verdict (
	asset TEXT NOT NULL,
	number INTEGER NOT NULL,
	source TEXT NOT NULL,
	scam SMALLINT,
	lookalike TEXT,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT asset_verdict_pkey PRIMARY KEY (asset, number),
	CONSTRAINT asset_verdict_asset_identity_fkey FOREIGN KEY(asset) REFERENCES finora.asset_identity (asset),
	CONSTRAINT asset_verdict_like_fkey FOREIGN KEY(lookalike) REFERENCES finora.asset (id),
	CONSTRAINT asset_verdict_scam_check CHECK (scam between 0 and 10000),
	CONSTRAINT asset_verdict_source_check CHECK (source ~ '^[a-z][a-z0-9._-]{0,63}$')
);

create trigger price_fixed before update or delete or truncate on finora.price for each statement execute function finora.refuse_change();

create trigger price_pair_fixed before update or delete or truncate on finora.price_pair for each statement execute function finora.refuse_change();

create trigger price_load_fixed before update or delete or truncate on finora.price_load for each statement execute function finora.refuse_change();

create trigger price_absence_fixed before update or delete or truncate on finora.price_absence for each statement execute function finora.refuse_change();

create trigger price_action_fixed before update or delete or truncate on finora.price_action for each statement execute function finora.refuse_change();

create trigger asset_identity_fixed before update or delete or truncate on finora.asset_identity for each statement execute function finora.refuse_change();

create trigger asset_name_fixed before update or delete or truncate on finora.asset_name for each statement execute function finora.refuse_change();

create trigger asset_verdict_fixed before update or delete or truncate on finora.asset_verdict for each statement execute function finora.refuse_change();

grant select, insert (asset, symbol, kind, segment, title, skeleton) on finora.asset_identity to finora_api;

grant select, insert (asset, symbol, kind, segment, title, skeleton) on finora.asset_identity to finora_worker;

grant select, insert (namespace, name, asset) on finora.asset_name to finora_api;

grant select, insert (namespace, name, asset) on finora.asset_name to finora_worker;

grant select, insert (asset, number, source, scam, lookalike) on finora.asset_verdict to finora_api;

grant select, insert (asset, number, source, scam, lookalike) on finora.asset_verdict to finora_worker;

grant select, insert on finora.price to finora_api;

grant select, insert on finora.price to finora_worker;

grant select, insert on finora.price_absence to finora_api;

grant select, insert on finora.price_absence to finora_worker;

grant select, insert on finora.price_action to finora_api;

grant select, insert on finora.price_action to finora_worker;

grant select, insert (number, source) on finora.price_load to finora_api;

grant select, insert (number, source) on finora.price_load to finora_worker;

grant select, insert on finora.price_pair to finora_api;

grant select, insert on finora.price_pair to finora_worker;
