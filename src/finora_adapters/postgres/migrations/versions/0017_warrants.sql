CREATE TABLE finora.warrant_key (
	inner_pad BYTEA NOT NULL,
	outer_pad BYTEA NOT NULL,
	enforced BOOLEAN NOT NULL,
	CONSTRAINT warrant_key_pkey PRIMARY KEY (inner_pad),
	CONSTRAINT warrant_key_pads_check CHECK (octet_length(inner_pad) = 64 and octet_length(outer_pad) = 64)
);

create or replace function finora.finora_tenant() returns uuid language plpgsql stable parallel safe security definer set search_path = finora, pg_temp as $$
declare
  named text := nullif(current_setting('finora.tenant', true), '');
begin
  if named is not null and coalesce((select bool_or(encode(sha256(outer_pad || sha256(inner_pad || convert_to(coalesce(current_setting('finora.tenant', true), '') || ' ' || coalesce(current_setting('finora.user', true), ''), 'UTF8'))), 'hex') = current_setting('finora.warrant', true)) or not coalesce(bool_or(enforced), false) from warrant_key), false) then
    return named::uuid;
  end if;
  return null;
end $$;

create or replace function finora.finora_user() returns uuid language plpgsql stable parallel safe security definer set search_path = finora, pg_temp as $$
declare
  named text := nullif(current_setting('finora.user', true), '');
begin
  if named is not null and coalesce((select bool_or(encode(sha256(outer_pad || sha256(inner_pad || convert_to(coalesce(current_setting('finora.tenant', true), '') || ' ' || coalesce(current_setting('finora.user', true), ''), 'UTF8'))), 'hex') = current_setting('finora.warrant', true)) or not coalesce(bool_or(enforced), false) from warrant_key), false) then
    return named::uuid;
  end if;
  return null;
end $$;

create function finora.finora_control() returns boolean language plpgsql stable parallel safe security definer set search_path = finora, pg_temp as $$
begin
  return coalesce((select bool_or(encode(sha256(outer_pad || sha256(inner_pad || convert_to('control', 'UTF8'))), 'hex') = current_setting('finora.warrant', true)) or not coalesce(bool_or(enforced), false) from warrant_key), false);
end $$;

revoke all on function finora.finora_control() from public;
grant execute on function finora.finora_control() to finora_control;

alter policy challenge_control on finora.challenge
  using ((select finora.finora_control())) with check ((select finora.finora_control()));
alter policy command_control on finora.command
  using ((select finora.finora_control())) with check ((select finora.finora_control()));
alter policy data_key_control on finora.data_key
  using ((select finora.finora_control())) with check ((select finora.finora_control()));
alter policy event_control on finora.event
  using ((select finora.finora_control())) with check ((select finora.finora_control()));
alter policy invite_control on finora.invite
  using ((select finora.finora_control())) with check ((select finora.finora_control()));
alter policy job_control on finora.job
  using ((select finora.finora_control())) with check ((select finora.finora_control()));
alter policy seal_control on finora.seal
  using ((select finora.finora_control())) with check ((select finora.finora_control()));
alter policy session_control on finora.session
  using ((select finora.finora_control())) with check ((select finora.finora_control()));
alter policy statement_import_control on finora.statement_import
  using ((select finora.finora_control())) with check ((select finora.finora_control()));
alter policy stored_file_control on finora.stored_file
  using ((select finora.finora_control())) with check ((select finora.finora_control()));
alter policy version_control on finora.version
  using ((select finora.finora_control())) with check ((select finora.finora_control()));
