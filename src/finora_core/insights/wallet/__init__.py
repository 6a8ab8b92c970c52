"""The wallet: what is there, what came in, what went out."""
