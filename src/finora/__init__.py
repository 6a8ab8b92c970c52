"""Finora: the money back end that teams embed, deploy or extend."""
