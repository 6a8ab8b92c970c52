"""People: how they are known, what they prove, and what they say of themselves."""
