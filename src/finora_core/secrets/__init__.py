"""Credentials of third parties, sealed; and the keys that seal and sign."""
