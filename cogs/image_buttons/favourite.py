"""❤️: add an image to the user's favourites, or remove it."""

from __future__ import annotations

from bot.client import Client, Interaction
from bot.ui.dynamic_items import PersistentItem
from bot.ui.errors import respond_ephemeral
from bot.ui.i18n import tr
from bot.ui.job_views import LIKE
from generation.errors import UserError
from generation.params import TILE_PATTERN


class LikeButton(PersistentItem, template=rf"{LIKE}:{TILE_PATTERN}"):
    """Adds an image to the user's favourites, or removes it."""

    async def run(self, interaction: Interaction) -> None:
        favourites, tile = interaction.client.services.db.favourites, self.tile
        if await favourites.remove(interaction.user.id, tile):  # also after the image was deleted
            await respond_ephemeral(interaction, tr("Removed from your favourites."))
            return
        await interaction.client.jobs.require_parent(tile)
        if not await favourites.add(interaction.user.id, tile):  # deleted in the meantime
            raise UserError(tr("This picture is no longer stored."))
        await respond_ephemeral(interaction, tr("❤️ Added to your favourites. Press again to remove it."))


async def setup(client: Client) -> None:
    """Add the button; discord.py calls this."""
    client.add_dynamic_items(LikeButton)
