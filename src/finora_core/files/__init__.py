"""Files: objects kept by tenant and content."""
