"""The page in the browser: its files, its feed, and what people do on it."""
