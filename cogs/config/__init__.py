"""/config: a server's settings, changed from Discord."""

from __future__ import annotations

from bot.client import Client
from cogs.config.blocks import BlockGroup
from cogs.config.commands import ConfigGroup
from cogs.config.contests import contest
from cogs.config.gallery import gallery
from cogs.config.panel import EditFieldButton, FieldSelect, FieldValueSelect
from cogs.config.reports import ReportButton, ReportLog
from cogs.config.together import together
from cogs.config.word_rules import WordsGroup


async def setup(client: Client) -> None:
    """Add the command and the panel's components; discord.py calls this."""
    group = ConfigGroup(client.services)
    group.add_command(WordsGroup(client.services))
    group.add_command(BlockGroup(client.services))
    group.add_command(together)
    group.add_command(contest)
    group.add_command(gallery)
    client.tree.add_command(group)
    await client.add_cog(ReportLog(client))
    client.add_dynamic_items(FieldSelect, FieldValueSelect, EditFieldButton, ReportButton)
