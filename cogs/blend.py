"""/blend: four images that mix two to five uploaded ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.jobs.destination import is_private
from bot.jobs.prompt_defaults import load_prompt_defaults
from bot.policy.context import context_from
from bot.services import Services
from bot.ui.i18n import tr
from cogs.autocomplete import available_models
from generation.errors import UserError
from generation.job import Action
from generation.models.capabilities import Capability
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.planning import actions

SHAPES = {"portrait": (2, 3), "square": (1, 1), "landscape": (3, 2)}


class Blend(commands.Cog):
    """Blend images without a text prompt."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @app_commands.command(description="Blend two to five pictures")
    @app_commands.describe(
        image1="The first picture",
        image2="The second picture",
        image3="A third picture (optional)",
        image4="A fourth picture (optional)",
        image5="A fifth picture (optional)",
        dimensions="The shape of the result (default: square)",
    )
    async def blend(
        self,
        interaction: Interaction,
        image1: discord.Attachment,
        image2: discord.Attachment,
        image3: discord.Attachment | None = None,
        image4: discord.Attachment | None = None,
        image5: discord.Attachment | None = None,
        dimensions: Literal["portrait", "square", "landscape"] = "square",
    ) -> None:
        await self.services.policy.check_access(context_from(interaction))
        self.services.queue.check_limits(interaction.user.id)
        preferred = await self.services.db.preferences.get(interaction.user.id)
        attachments = [image for image in (image1, image2, image3, image4, image5) if image is not None]
        private = is_private(interaction, None, preferred)
        async with interaction.client.deferrals.deferred_if_slow(interaction, ephemeral=private):
            images = await self.services.images.uploads.import_attachments(attachments)
        usual = (await load_prompt_defaults(self.services, interaction)).model
        allowed = await available_models(self.services, interaction.guild_id)
        model = _model_for_blend(usual, allowed, self.services.registry)
        params = actions.blend(images, model, SHAPES[dimensions], actions.new_seed())
        await interaction.client.jobs.submit(interaction, Action.BLEND, params)


def _model_for_blend(usual: Model, allowed: Sequence[Model], registry: ModelRegistry) -> Model:
    """Return the default model if it can blend images, else the first one that can, of those the server allows."""
    capable = registry.with_capability(Capability.BLEND)
    if not capable:
        raise UserError(tr("{model} cannot blend pictures.", model=usual.name))
    return next((model for model in (usual, *allowed) if model in capable), capable[0])  # else the policy says why not


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this."""
    await client.add_cog(Blend(client.services))
