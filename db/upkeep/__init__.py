"""Backups, retention and checks of the database as a whole."""
