"""What people say to what became of a record by itself."""
