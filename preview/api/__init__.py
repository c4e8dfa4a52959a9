"""The interface for the bot: REST, gateway and CDN."""
