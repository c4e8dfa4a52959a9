"""❤️: keep a picture among one's favourites."""

from __future__ import annotations

from discord.ext import commands

from bot.client import Client
from bot.ui.errors import respond_ephemeral
from cogs.image_buttons.buttons import LIKE
from cogs.jobs import Interaction, JobService, get_job_service
from generation.errors import UserError
from generation.params import Tile


class FavouriteImages(commands.Cog):
    """Mark pictures, and take the marks away."""

    def __init__(self, client: Client, jobs: JobService) -> None:
        self.jobs = jobs
        self.services = client.services
        jobs.button_handlers[LIKE] = self.toggle_favourite

    async def toggle_favourite(self, interaction: Interaction, tile: Tile) -> None:
        """Mark a picture as the person's favourite, or no longer."""
        if await self.services.favourites.remove(interaction.user.id, tile):  # also where the picture has gone
            await respond_ephemeral(interaction, "This is no longer among your favourites.")
            return
        await self.jobs.require_parent(tile)
        if not await self.services.favourites.add(interaction.user.id, tile):  # deleted in this moment
            raise UserError("This picture is not kept any more.")
        await respond_ephemeral(interaction, "❤️ This is among your favourites now. Press again to take it out.")


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this, after the road's."""
    await client.add_cog(FavouriteImages(client, get_job_service(client)))
