"""Find pictures again: by words over a whole server, and by a copy of a picture."""
