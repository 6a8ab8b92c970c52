"""The routes, one file a noun; `table.py` has them all."""
