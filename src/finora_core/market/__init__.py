"""What things are worth: dated rates, and later prices."""
