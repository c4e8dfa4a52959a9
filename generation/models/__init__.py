"""Models and adapters, and the capabilities of each."""
