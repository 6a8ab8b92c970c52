"""The event log and its seal."""
