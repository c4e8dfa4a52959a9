"""Commands that make sense in servers only."""

from __future__ import annotations

from discord import app_commands


def server_group(name: str, description: str) -> app_commands.Group:
    """Return a group of commands for servers that have added the bot."""
    return app_commands.Group(
        name=name,
        description=description,
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False),
        allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
    )
