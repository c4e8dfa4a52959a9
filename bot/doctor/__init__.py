"""Read-only checks of an installation, each failure with a fix."""
