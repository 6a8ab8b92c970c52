"""Sessions: signing in, staying signed in, and the end of it."""
