"""Any total as the graph of what made it."""
