"""Collaborative sessions: their steps by the clock, and their ends."""
