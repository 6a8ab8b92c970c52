"""Records as a table of text."""
