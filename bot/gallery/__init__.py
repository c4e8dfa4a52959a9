"""The web gallery, served by the bot: pages, their data, thumbnails, and the login with Discord."""
