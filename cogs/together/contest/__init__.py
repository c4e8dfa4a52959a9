"""/contest: a show with a theme, anonymous entries, and a vote by pairs."""

from __future__ import annotations

from bot.client import Client
from cogs.together.contest import entering, moderation, naming, voting
from cogs.together.contest.commands import ContestCommand


async def setup(client: Client) -> None:
    """Add the command and the buttons; discord.py calls this."""
    await client.add_cog(ContestCommand(client))
    client.add_dynamic_items(
        entering.EnterButton,
        entering.EntrySelect,
        entering.BackSelect,
        entering.EnterThisButton,
        moderation.HelpButton,
        moderation.OutSelect,
        moderation.UnsaySelect,
        moderation.GoOnButton,
        moderation.EndButton,
        moderation.WakeButton,
        naming.ThemeButton,
        naming.ThemeSelect,
        voting.VoteButton,
        voting.PickButton,
    )
