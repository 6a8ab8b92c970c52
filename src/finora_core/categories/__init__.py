"""Categories: the tenant's list, rules, likeness to what people decided, approvals."""
