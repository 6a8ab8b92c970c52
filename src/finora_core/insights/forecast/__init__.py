"""What money is expected to come and go, and how wrong that was before."""
