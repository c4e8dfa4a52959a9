"""One file a feature: a command, its buttons, its whole road."""
