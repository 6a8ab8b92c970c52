"""Jobs: rows in Postgres, written with their cause, run at least once, effective once."""
