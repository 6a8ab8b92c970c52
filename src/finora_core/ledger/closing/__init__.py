"""Closing a period: what is booked and labelled there does not change any more."""
