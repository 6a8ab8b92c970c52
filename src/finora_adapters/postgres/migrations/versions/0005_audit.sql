alter table finora.event add column source_agent text not null default 'balance';

CREATE TABLE finora.nonce (
	digest BYTEA NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT nonce_pkey PRIMARY KEY (digest),
	CONSTRAINT nonce_digest_check CHECK (octet_length(digest) = 32)
);

CREATE INDEX nonce_expires_at_idx ON finora.nonce (expires_at);

grant select, insert (tenant_id, id, type, payload, actor, request_id, source_agent) on finora.event to finora_api;

grant select, insert (tenant_id, id, type, payload, actor, request_id, source_agent) on finora.event to finora_worker;

grant select, delete, update (state, attempts, max_attempts, run_at, lease_until, epoch, done_parts, all_parts, result, reason, message, error, started_at, finished_at, dismissed_at, announced_at) on finora.job to finora_control;

grant insert on finora.nonce to finora_api;

grant select (expires_at), delete on finora.nonce to finora_control;

grant insert on finora.nonce to finora_worker;
