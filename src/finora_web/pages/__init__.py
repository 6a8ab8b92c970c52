"""The pages: rendered here, with htmx for what moves."""
