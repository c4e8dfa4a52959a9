"""/fast, /relax, /turbo, /stealth, /public: one setting each, at hand."""

from __future__ import annotations

from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.services import Services
from generation.job import Speed


class Modes(commands.Cog):
    """Change how urgent a person's jobs are, and who sees them."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @app_commands.command(description="Draw your pictures in fast mode from now on")
    async def fast(self, interaction: Interaction) -> None:
        await self._set_speed(interaction, Speed.FAST, "Your jobs go before relaxed ones, where this server lets you.")

    @app_commands.command(description="Draw your pictures when others are not in a hurry")
    async def relax(self, interaction: Interaction) -> None:
        await self._set_speed(interaction, Speed.RELAX, "Your jobs let fast ones go first, for half an hour at most.")

    @app_commands.command(description="Draw your pictures before everybody else's")
    async def turbo(self, interaction: Interaction) -> None:
        await self._set_speed(interaction, Speed.TURBO, "Your jobs go before all others, where this server lets you.")

    @app_commands.command(description="Let only you see your pictures from now on")
    async def stealth(self, interaction: Interaction) -> None:
        await self.services.db.preferences.update(interaction.user.id, private=True)
        text = (
            "You are in **stealth mode** now: only you see your prompts and pictures, and only you can `/show` them.\n"
            "-# Discord lets me answer privately for 15 minutes; what takes longer comes as a direct message. Private "
            "messages vanish when Discord restarts: `/show` brings them back. `--public` makes one prompt public."
        )
        await interaction.response.send_message(text, ephemeral=True)

    @app_commands.command(description="Let everybody see your pictures from now on")
    async def public(self, interaction: Interaction) -> None:
        await self.services.db.preferences.update(interaction.user.id, private=None)
        text = "You are in **public mode** now.\n-# `--stealth` makes one prompt private."
        await interaction.response.send_message(text, ephemeral=True)

    async def _set_speed(self, interaction: Interaction, speed: Speed, explanation: str) -> None:
        await self.services.db.preferences.update(interaction.user.id, speed=speed)
        others = " or ".join(f"`--{other}`" for other in Speed if other is not speed)
        text = f"You are in **{speed} mode** now. {explanation}\n-# {others} in a prompt changes it for that job."
        await interaction.response.send_message(text, ephemeral=True)


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this."""
    await client.add_cog(Modes(client.services))
