"""The words that a small model knows."""
