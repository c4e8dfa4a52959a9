"""The stand-in as the bot meets it: REST, gateway and CDN."""
