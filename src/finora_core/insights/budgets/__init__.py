"""Budgets: what may be spent on a category in a period, and what was."""
