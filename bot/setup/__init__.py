"""`main.py setup`: ask for the settings a bot needs, check them, and write them to `.env`."""
