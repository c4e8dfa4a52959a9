"""Commands that make sense in servers only, where the bot may post."""

from __future__ import annotations

from discord import app_commands

from bot.client import Interaction
from bot.jobs.destination import destination_from
from bot.ui.i18n import tr
from generation.errors import UserError


def server_group(name: str, description: str) -> app_commands.Group:
    """Return a group of commands for servers that have added the bot."""
    return app_commands.Group(
        name=name,
        description=description,
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False),
        allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
    )


def require_channel(interaction: Interaction) -> None:
    """Raise UserError where the bot may not post what comes after its answer, such as the next round."""
    if not destination_from(interaction).by_channel:
        raise UserError(tr("I need to be able to send messages and files here for that."))
