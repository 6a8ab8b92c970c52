"""What administrators do about people."""
