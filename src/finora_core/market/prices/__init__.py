"""Prices as facts, the graph that converts along them, and what has none."""
