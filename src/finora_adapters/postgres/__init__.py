"""Postgres: schema, the open transaction, one repository file per noun, migrations."""
