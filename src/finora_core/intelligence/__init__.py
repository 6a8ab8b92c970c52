"""Language models and vectors: one door to each, and what may pass through it."""
