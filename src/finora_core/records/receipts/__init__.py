"""Receipts: files that prove records."""
