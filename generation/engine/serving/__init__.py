"""Several models in one process: cache, memory budget, loading."""
