"""Recurring payments, found in the records."""
