"""What beside, or instead of, a password proves who somebody is."""
