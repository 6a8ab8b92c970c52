"""Rules: written with their effect beside them, run over the past, undone."""
