"""❤️: keep an image among one's favourites."""

from __future__ import annotations

from bot.client import Client, Interaction
from bot.ui.dynamic_items import PersistentItem
from bot.ui.errors import respond_ephemeral
from bot.ui.job_views import LIKE
from generation.errors import UserError
from generation.params import TILE_PATTERN


class LikeButton(PersistentItem, template=rf"{LIKE}:{TILE_PATTERN}"):
    """Adds an image to the user's favourites, or removes it."""

    async def run(self, interaction: Interaction) -> None:
        favourites, tile = interaction.client.services.db.favourites, self.tile
        if await favourites.remove(interaction.user.id, tile):  # also where the image is gone
            await respond_ephemeral(interaction, "Removed from your favourites.")
            return
        await interaction.client.jobs.require_parent(tile)
        if not await favourites.add(interaction.user.id, tile):  # deleted at this moment
            raise UserError("This picture is not kept any more.")
        await respond_ephemeral(interaction, "❤️ Added to your favourites. Press again to remove it.")


async def setup(client: Client) -> None:
    """Add the button; discord.py calls this."""
    client.add_dynamic_items(LikeButton)
