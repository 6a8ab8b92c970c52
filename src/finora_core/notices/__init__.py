"""What people are written about: their address, their sign-in, who asks them in."""
