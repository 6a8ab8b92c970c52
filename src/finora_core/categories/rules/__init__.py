"""Rules: what a tenant says should become of records."""
