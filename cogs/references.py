"""Pictures that are given apart from a prompt, for a style, a character or ControlNets, and become parameters of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import discord

from bot.client import Interaction
from bot.jobs.destination import is_private
from db.styles import Purpose
from generation.errors import UserError
from generation.params import ImageRef
from generation.prompt import (
    PromptRequest,
    character_parameter,
    control_parameter,
    style_parameter,
    with_parameter,
)

_NOT_STORED = "0" * 12  # stands for the code of a picture that is not stored yet

Picture = discord.Attachment | ImageRef | None


@dataclass(frozen=True, slots=True)
class References:
    """A picture whose style is taken over, one that ControlNets read, and one whose character is drawn."""

    style: Picture = None
    control: Picture = None
    character: Picture = None

    def __bool__(self) -> bool:
        return bool(self._given)

    @property
    def _given(self) -> dict[Purpose, discord.Attachment | ImageRef]:
        pictures: dict[Purpose, Picture] = {"style": self.style, "character": self.character, "control": self.control}
        return {purpose: picture for purpose, picture in pictures.items() if picture is not None}

    @property
    def attached(self) -> bool:
        """Return whether one of them has to be downloaded."""
        return any(isinstance(picture, discord.Attachment) for picture in self._given.values())

    def placed_in(self, prompt: str) -> str:
        """Return the prompt as it will be once they are stored, with another code."""
        return _with_codes(prompt, dict.fromkeys(self._given, _NOT_STORED))

    async def stored_in(self, interaction: Interaction, prompt: str, requests: list[PromptRequest] | UserError) -> str:
        """Store them, and return the prompt with their codes; only their owner can use those of a private job."""
        preferred = await interaction.client.services.db.preferences.get(interaction.user.id)
        private = isinstance(requests, UserError) or any(
            is_private(interaction, request.private, preferred) for request in requests
        )
        images = {purpose: await _imported(interaction, picture) for purpose, picture in self._given.items()}
        styles = interaction.client.prompts.styles
        codes = {
            purpose: await styles.add(interaction, image, purpose, private=private) for purpose, image in images.items()
        }
        return _with_codes(prompt, codes)


NO_REFERENCES = References()


_PARAMETERS: dict[Purpose, Callable[[str], str]] = {
    "style": style_parameter,
    "character": character_parameter,
    "control": control_parameter,
}


def _with_codes(prompt: str, codes: Mapping[Purpose, str]) -> str:
    for purpose, code in codes.items():
        prompt = with_parameter(prompt, _PARAMETERS[purpose](code))
    return prompt


async def _imported(interaction: Interaction, picture: discord.Attachment | ImageRef) -> ImageRef:
    if isinstance(picture, discord.Attachment):
        return await interaction.client.services.images.uploads.import_attachment(picture)
    return picture
