"""/config: everything the owners of a server decide, set from Discord."""

from __future__ import annotations

from bot.client import Client
from cogs.forms import forms_of
from cogs.owners.blocks import Blocks
from cogs.owners.config import Config
from cogs.owners.panel import FORM, PageSelect, SettingButton, SettingSelect, take_form
from cogs.owners.reports import ReportButton, Reporting
from cogs.owners.words import WordsGroup


async def setup(client: Client) -> None:
    """Add the command and the panel's parts; discord.py calls this."""
    config = Config(client.services)
    config.add_command(WordsGroup(client.services))
    config.add_command(Blocks(client.services))
    client.tree.add_command(config)
    await client.add_cog(Reporting(client))
    client.add_dynamic_items(PageSelect, SettingSelect, SettingButton, ReportButton)
    forms_of(client).takers[FORM] = take_form
