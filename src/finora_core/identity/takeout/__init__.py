"""All of a person, for that person to take along."""
