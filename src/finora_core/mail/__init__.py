"""Mail: the letters that people are sent, and the addresses they go to."""
