"""A loopback stand-in for Discord; imports nothing of the bot."""
