"""What Redis or Valkey is for: wake-ups, cached bytes, limits. All of it may be lost."""
