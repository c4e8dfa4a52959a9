"""The state of the fake Discord: the world, its events, and Discord's JSON for both."""
