"""Pictures that are given apart from a prompt, for its style or for ControlNets, and become parameters of it."""

from __future__ import annotations

from dataclasses import dataclass

import discord

from bot.client import Interaction
from bot.jobs.destination import is_private
from generation.errors import UserError
from generation.params import ImageRef
from generation.prompt import PromptRequest, control_parameter, style_parameter, with_parameter

_NOT_STORED = "0" * 12  # stands for the code of a picture that is not stored yet

Picture = discord.Attachment | ImageRef | None


@dataclass(frozen=True, slots=True)
class References:
    """A picture whose style is taken over, and one that ControlNets read."""

    style: Picture = None
    control: Picture = None

    def __bool__(self) -> bool:
        return self.style is not None or self.control is not None

    @property
    def attached(self) -> bool:
        """Return whether one of them has to be downloaded."""
        return any(isinstance(picture, discord.Attachment) for picture in (self.style, self.control))

    def placed_in(self, prompt: str) -> str:
        """Return the prompt as it will be once they are stored, with another code."""
        return _with_codes(prompt, self.style and _NOT_STORED, self.control and _NOT_STORED)

    async def stored_in(self, interaction: Interaction, prompt: str, requests: list[PromptRequest] | UserError) -> str:
        """Store them, and return the prompt with their codes; only their owner can use those of a private job."""
        preferred = await interaction.client.services.db.preferences.get(interaction.user.id)
        private = isinstance(requests, UserError) or any(
            is_private(interaction, request.private, preferred) for request in requests
        )
        codes = interaction.client.prompts.styles
        style, control = await _imported(interaction, self.style), await _imported(interaction, self.control)
        return _with_codes(
            prompt,
            style and await codes.add(interaction, style, private=private),
            control and await codes.add(interaction, control, "control", private=private),
        )


NO_REFERENCES = References()


def _with_codes(prompt: str, style: object, control: object) -> str:
    prompt = with_parameter(prompt, style_parameter(str(style))) if style else prompt
    return with_parameter(prompt, control_parameter(str(control))) if control else prompt


async def _imported(interaction: Interaction, picture: Picture) -> ImageRef | None:
    if isinstance(picture, discord.Attachment):
        return await interaction.client.services.images.uploads.import_attachment(picture)
    return picture
