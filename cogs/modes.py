"""/fast, /relax, /turbo, /stealth, /public: one command for each setting."""

from __future__ import annotations

from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.services import Services
from bot.ui.i18n import tr
from generation.job import Speed


class Modes(commands.Cog):
    """Change the speed and the visibility of a user's jobs."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @app_commands.command(description="Draw your pictures in fast mode from now on")
    async def fast(self, interaction: Interaction) -> None:
        explanation = tr("Your jobs go before relaxed ones, if this server allows it.")
        await self._set_speed(interaction, Speed.FAST, explanation)

    @app_commands.command(description="Draw your pictures in relaxed mode from now on: fast jobs go first")
    async def relax(self, interaction: Interaction) -> None:
        explanation = tr("Your jobs let fast ones go first, for half an hour at most.")
        await self._set_speed(interaction, Speed.RELAX, explanation)

    @app_commands.command(description="Draw your pictures in turbo mode from now on: before all other jobs")
    async def turbo(self, interaction: Interaction) -> None:
        explanation = tr("Your jobs go before all others, if this server allows it.")
        await self._set_speed(interaction, Speed.TURBO, explanation)

    @app_commands.command(description="Make your pictures private from now on")
    async def stealth(self, interaction: Interaction) -> None:
        await self.services.db.preferences.update(interaction.user.id, private=True)
        lines = [
            tr(
                "You are in **stealth mode** now: only you see your prompts and pictures, and only you can `/show` "
                "them."
            ),
            tr("-# Discord lets me answer privately for 15 minutes. Later results come by direct message."),
            tr("-# Private messages vanish when Discord restarts: `/show` brings them back."),
            tr("-# `--public` makes one prompt public."),
        ]
        await interaction.response.send_message("\n".join(lines), ephemeral=True)

    @app_commands.command(description="Make your pictures public from now on")
    async def public(self, interaction: Interaction) -> None:
        await self.services.db.preferences.update(interaction.user.id, private=None)
        lines = [tr("You are in **public mode** now."), tr("-# `--stealth` makes one prompt private.")]
        await interaction.response.send_message("\n".join(lines), ephemeral=True)

    async def _set_speed(self, interaction: Interaction, speed: Speed, explanation: str) -> None:
        await self.services.db.preferences.update(interaction.user.id, speed=speed)
        first, second = (f"`--{other}`" for other in Speed if other is not speed)
        mode = tr("You are in **{speed} mode** now.", speed=speed)
        hint = tr("-# {first} or {second} in a prompt changes it for that job.", first=first, second=second)
        await interaction.response.send_message(f"{mode} {explanation}\n{hint}", ephemeral=True)


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this."""
    await client.add_cog(Modes(client.services))
