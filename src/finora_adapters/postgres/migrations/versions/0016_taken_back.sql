alter table finora.decision add column was jsonb;

grant insert (was) on finora.decision to finora_api, finora_worker;
