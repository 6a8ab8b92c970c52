"""Dated FX rates: facts beside facts, and conversion that names the ones it used."""
