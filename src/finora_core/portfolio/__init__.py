"""The portfolio: what is held where, how it came there, and what it is worth."""
