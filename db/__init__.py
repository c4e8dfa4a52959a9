"""SQLite storage: every SQL statement of the program is in this package."""
