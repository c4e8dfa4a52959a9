"""Checks for request bodies that Discord's API rejects."""
