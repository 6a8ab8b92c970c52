#!/bin/sh
# Run once, when the database is made: the logins of docs/operating.md, and pgvector, also for the
# databases that backups are tried in. `finora migrate` makes the roles that the logins take.
set -eu
psql --no-psqlrc --set ON_ERROR_STOP=1 \
    --username "${POSTGRES_USER:-postgres}" --dbname "${POSTGRES_DB:-finora}" \
    --set owner="$OWNER_PASSWORD" --set app="$APP_PASSWORD" --set backup="$BACKUP_PASSWORD" \
    --set database="${POSTGRES_DB:-finora}" <<'SQL'
create role finora_owner login createrole password :'owner';
create role finora_app login password :'app';
create role finora_backup login bypassrls password :'backup' in role pg_read_all_data;
alter database :"database" owner to finora_owner;
revoke connect, temporary on database :"database" from public;
grant connect, temporary on database :"database" to finora_app, finora_backup;
create extension vector;
\connect template1
create extension vector;
SQL
