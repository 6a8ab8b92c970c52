"""Cryptography: ciphers, and the keys that are kept outside the database."""
