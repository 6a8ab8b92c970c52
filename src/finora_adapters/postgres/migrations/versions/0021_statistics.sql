-- Of a column's values the planner keeps the hundred most common with their shares. Where those are
-- all tenants there were, it takes one that has come since for a single row in every table, for which
-- an index that finds the row costs the same as one that finds all of the tenant's and throws the
-- rest away. With only the most common one kept, any other is taken for an average tenant, of two
-- hundred rows in each table, and the largest still for what it is. And tables are looked at again
-- after one in a hundred rows was written, not one in ten.
do $$
declare
  owned regclass;
begin
  for owned in
    select c.oid from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
    where c.relnamespace = 'finora'::regnamespace and c.relkind = 'r'
  loop
    execute format(
      'alter table %s alter column tenant_id set statistics 1, '
      'alter column tenant_id set (n_distinct = -0.005), '
      'set (autovacuum_analyze_scale_factor = 0.01, autovacuum_analyze_threshold = 500)',
      owned
    );
  end loop;
end $$;
