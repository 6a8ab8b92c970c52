"""What becomes of a record by itself: rules, then what it resembles, then a model."""
