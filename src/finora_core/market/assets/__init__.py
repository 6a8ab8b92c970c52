"""Who an asset is: its symbol, where it is traded, what others call it, and whether it pretends."""
