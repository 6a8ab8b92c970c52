"""Which category a record has, and why."""
