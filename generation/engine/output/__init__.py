"""Files, previews and the safety classifier."""
