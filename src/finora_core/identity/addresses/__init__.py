"""Where things are sent to a person."""
