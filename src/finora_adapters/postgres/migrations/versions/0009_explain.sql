create index record_entry_idx on finora.record (tenant_id, entry_id) where entry_id <> id;
