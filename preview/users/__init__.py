"""Simulated users, and what a test or the page may ask of them."""
