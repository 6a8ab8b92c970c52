"""Goals: what is being saved for."""
