"""One file for each feature: a command with its buttons."""
