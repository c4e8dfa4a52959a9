"""The web page of the preview: its files, its WebSocket and its actions."""
