"""Everything about pictures; knows nothing of Discord or SQL."""
