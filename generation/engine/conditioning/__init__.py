"""Encode texts into embeddings."""
