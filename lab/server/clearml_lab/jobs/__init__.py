"""Programs that run beside the servers."""
