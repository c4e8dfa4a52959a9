"""From texts to embeddings."""
