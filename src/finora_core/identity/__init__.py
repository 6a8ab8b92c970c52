"""Who asks: tenants and people."""
