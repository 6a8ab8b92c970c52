alter table finora.record
  add column suggested text not null default '',
  add column confidence smallint,
  add column decisions smallint not null default '0',
  add column reviewed_at timestamptz,
  add column entered_by uuid,
  add constraint record_confidence_check check (confidence between 0 and 10000),
  add constraint record_suggested_check check (length(suggested) <= 200);

-- What people said before is theirs. The owner sees all tenants for this moment; what looks whether a
-- record may be added would look for its account in the tenant that nobody has named.
alter table finora.record disable trigger user;
alter table finora.record no force row level security;
alter table finora.label no force row level security;
update finora.record r set locked = 'category' where r.locked = '' and (
  select case when l.category <> '' then l.source end from finora.label l where l.tenant_id = r.tenant_id and l.entry_id = r.entry_id
  order by l.number desc limit 1) = 'human';
alter table finora.record force row level security;
alter table finora.label force row level security;
alter table finora.record enable trigger user;

CREATE TABLE finora.reprocess (
	tenant_id UUID NOT NULL,
	id UUID NOT NULL,
	wanted JSONB NOT NULL,
	dry_run BOOLEAN NOT NULL,
	asked_by UUID NOT NULL,
	recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	after UUID,
	counts JSONB,
	CONSTRAINT reprocess_pkey PRIMARY KEY (tenant_id, id)
);

CREATE TABLE finora.review_setting (
	tenant_id UUID NOT NULL,
	similar_auto SMALLINT NOT NULL,
	similar_suggested SMALLINT NOT NULL,
	model_auto SMALLINT NOT NULL,
	ask_model BOOLEAN NOT NULL,
	separate_duties BOOLEAN NOT NULL,
	CONSTRAINT review_setting_pkey PRIMARY KEY (tenant_id),
	CONSTRAINT review_setting_similar_auto_check CHECK (0 <= similar_suggested and similar_suggested <= similar_auto and similar_auto <= 10000 and model_auto between 0 and 10000)
);

CREATE TABLE finora.decision (
	tenant_id UUID NOT NULL,
	record_id UUID NOT NULL,
	number SMALLINT NOT NULL,
	source TEXT NOT NULL,
	verdict TEXT NOT NULL,
	category TEXT NOT NULL,
	confidence SMALLINT NOT NULL,
	rationale TEXT NOT NULL,
	rule_id UUID,
	neighbours JSONB,
	model TEXT,
	note TEXT,
	decided_by UUID NOT NULL,
	decided_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT decision_pkey PRIMARY KEY (tenant_id, record_id, number),
	CONSTRAINT decision_record_fkey FOREIGN KEY(tenant_id, record_id) REFERENCES finora.record (tenant_id, id),
	CONSTRAINT decision_source_check CHECK (source in ('statement', 'match', 'rule', 'similar', 'model', 'human')),
	CONSTRAINT decision_verdict_check CHECK (verdict in ('auto', 'suggested', 'none', 'approved', 'overridden')),
	CONSTRAINT decision_confidence_check CHECK (confidence between 0 and 10000),
	CONSTRAINT decision_category_check CHECK (length(category) <= 200 and length(rationale) <= 1000),
	CONSTRAINT decision_note_check CHECK (length(note) <= 4000)
);

CREATE INDEX record_memory_idx ON finora.record (tenant_id, merchant_key, reviewed_at) WHERE reviewed_at is not null and entry_id is not null;

CREATE INDEX record_reviewed_idx ON finora.record (tenant_id, reviewed_at) WHERE reviewed_at is not null and entry_id is not null;

CREATE INDEX record_received_idx ON finora.record (tenant_id) WHERE status = 'received' and entry_id is not null;

CREATE INDEX record_review_idx ON finora.record (tenant_id, confidence, on_date, id) WHERE status = 'needs_review' and entry_id is not null;

CREATE INDEX decision_tenant_id_decided_at_idx ON finora.decision (tenant_id, decided_at);

create trigger decision_fixed before update or delete or truncate on finora.decision for each statement execute function finora.refuse_change();

grant select, insert (tenant_id, record_id, number, source, verdict, category, confidence, rationale, rule_id, neighbours, model, note, decided_by) on finora.decision to finora_api;

grant select (tenant_id), delete on finora.decision to finora_eraser;

grant select, insert (tenant_id, record_id, number, source, verdict, category, confidence, rationale, rule_id, neighbours, model, note, decided_by) on finora.decision to finora_worker;

grant select, insert (suggested, confidence, decisions, reviewed_at, entered_by), update (suggested, confidence, decisions, reviewed_at) on finora.record to finora_api;

grant select, insert (suggested, confidence, decisions, reviewed_at, entered_by), update (suggested, confidence, decisions, reviewed_at) on finora.record to finora_worker;

grant select, insert (tenant_id, id, wanted, dry_run, asked_by, after, counts), update (after, counts) on finora.reprocess to finora_api;

grant select (tenant_id), delete on finora.reprocess to finora_eraser;

grant select, insert (tenant_id, id, wanted, dry_run, asked_by, after, counts), update (after, counts) on finora.reprocess to finora_worker;

grant select, insert, update (similar_auto, similar_suggested, model_auto, ask_model, separate_duties) on finora.review_setting to finora_api;

grant select (tenant_id), delete on finora.review_setting to finora_eraser;

grant select, insert, update (similar_auto, similar_suggested, model_auto, ask_model, separate_duties) on finora.review_setting to finora_worker;

create policy decision_migrator on finora.decision to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy decision_api on finora.decision to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy decision_worker on finora.decision to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy decision_eraser on finora.decision to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy reprocess_migrator on finora.reprocess to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy reprocess_api on finora.reprocess to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy reprocess_worker on finora.reprocess to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy reprocess_eraser on finora.reprocess to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy review_setting_migrator on finora.review_setting to finora_migrator using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy review_setting_api on finora.review_setting to finora_api using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy review_setting_worker on finora.review_setting to finora_worker using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

create policy review_setting_eraser on finora.review_setting to finora_eraser using (tenant_id = (select finora.finora_tenant())) with check (tenant_id = (select finora.finora_tenant()));

alter table finora.decision enable row level security;

alter table finora.decision force row level security;

alter table finora.reprocess enable row level security;

alter table finora.reprocess force row level security;

alter table finora.review_setting enable row level security;

alter table finora.review_setting force row level security;
