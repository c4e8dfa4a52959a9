"""Model files as their headers and configurations describe them, without torch."""
