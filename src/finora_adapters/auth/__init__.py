"""Verifiers of sign-in, one file each."""
