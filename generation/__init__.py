"""Image generation: independent of Discord and SQL."""
