"""What becomes of a form that somebody sends in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import discord
from discord.ext import commands

from bot.client import Client
from bot.ui.errors import report_errors
from bot.ui.modals import ModalValues, parse_modal
from cogs.jobs import Interaction

ModalHandler = Callable[[Interaction, str, ModalValues], Awaitable[None]]


class ModalRouter(commands.Cog):
    """Hand each form to whoever `takes` its kind, which is its custom_id up to the first colon."""

    def __init__(self) -> None:
        self.handlers: dict[str, ModalHandler] = {}

    @commands.Cog.listener()
    async def on_interaction(self, interaction: Interaction) -> None:
        if interaction.type is not discord.InteractionType.modal_submit:
            return
        data: Any = interaction.data
        kind, _, rest = str(data["custom_id"]).partition(":")
        if handler := self.handlers.get(kind):
            async with report_errors(interaction):
                await handler(interaction, rest, parse_modal(interaction))


def get_modal_router(client: discord.Client) -> ModalRouter:
    """Give the forms' cog to another."""
    return cast(ModalRouter, cast(Client, client).get_cog("ModalRouter"))


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this."""
    await client.add_cog(ModalRouter())
