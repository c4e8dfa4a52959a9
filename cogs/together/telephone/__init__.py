"""/telephone: picture telephone, in turns, with a reveal at the end."""

from __future__ import annotations

from bot.client import Client
from cogs.together.telephone import buttons, writing
from cogs.together.telephone.commands import AgainButton, TelephoneCommand


async def setup(client: Client) -> None:
    """Add the command and the buttons; discord.py calls this."""
    await client.add_cog(TelephoneCommand(client))
    client.add_dynamic_items(
        buttons.JoinButton,
        buttons.LeaveButton,
        buttons.BeginButton,
        buttons.HelpButton,
        buttons.SkipButton,
        buttons.EndButton,
        buttons.NextButton,
        writing.TurnButton,
        writing.WriteButton,
        writing.PassButton,
        AgainButton,
    )
