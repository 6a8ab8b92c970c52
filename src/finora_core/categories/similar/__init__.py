"""What a record most likely is, judged by what people decided about others of the tenant."""
