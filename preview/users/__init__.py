"""Simulated users, for the tests and the page."""
