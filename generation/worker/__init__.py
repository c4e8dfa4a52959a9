"""The process boundary, from the bot's side to the GPU process."""
