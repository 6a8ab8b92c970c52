"""How letters are written and sent."""
