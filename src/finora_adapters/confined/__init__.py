"""Plugins that the operator does not trust: each question to one goes to a child process of its own
that the kernel confines. It reads its own code and Python's, asks the host for everything else, and
ends."""
