"""Forgetting a person, with all that is the person's alone."""
