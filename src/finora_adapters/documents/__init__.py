"""Documents in the formats that need a library: what `finora[export]` brings."""
