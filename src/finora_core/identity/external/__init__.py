"""People whom another service vouches for."""
