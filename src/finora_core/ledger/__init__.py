"""The double-entry ledger under everything: accounts, entries, postings, holds, balances."""
