"""What is meant to be, and what is to come: budgets, goals, recurring payments, the forecast."""
