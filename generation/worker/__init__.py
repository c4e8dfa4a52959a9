"""The GPU process and the bot's handle of it."""
