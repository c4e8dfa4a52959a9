"""A typed prompt and what it is for: edited in a form, and given back whole when it is refused."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self, cast

import discord
from discord.ext import commands

from bot.client import Client
from bot.ui.errors import UNKNOWN_INTERACTION, report_errors, respond_ephemeral, user_message
from bot.ui.modals import MAX_TEXT_LENGTH, ModalValues, PersistentModal
from bot.ui.prompt_block import extract_prompt, format_prompt_block
from bot.ui.text import truncate
from cogs.forms import Forms, forms_of
from cogs.road import Interaction
from generation.job import Action
from generation.params import TILE_PATTERN, Tile

log = logging.getLogger(__name__)

PATTERN = rf"(?P<action>[a-z_0-9]+)(?::{TILE_PATTERN})?(?::(?P<besides>[0-9a-f]+))?"
PROMPT, HOW_FAR, MASK = "prompt", "how_far", "mask"  # the fields of a form
LONGEST_SAID = 1900  # characters of what is wrong
TITLES = {
    Action.IMAGINE: "Imagine",
    Action.REROLL: "Draw it again",
    Action.VARY_SUBTLE: "Vary (Subtle)",
    Action.VARY_STRONG: "Vary (Strong)",
    Action.VARY_REGION: "Vary (Region)",
    Action.ZOOM_CUSTOM: "Custom Zoom",
    Action.ZOOM_2: "Zoom Out 2×",
    Action.ZOOM_1_5: "Zoom Out 1.5×",
    Action.MAKE_SQUARE: "Make Square",
    Action.PAN_LEFT: "Pan Left",
    Action.PAN_RIGHT: "Pan Right",
    Action.PAN_UP: "Pan Up",
    Action.PAN_DOWN: "Pan Down",
    Action.REMIX_SUBTLE: "Remix",
    Action.REMIX_STRONG: "Remix",
}


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a prompt is for, short enough for a custom_id: what is asked for, and of which tile.

    `besides` is the digest of a picture that was brought, or the chosen cells of a region.
    """

    action: Action
    tile: Tile | None = None
    besides: str = ""

    def __str__(self) -> str:
        return ":".join(map(str, filter(None, (self.action, self.tile, self.besides))))

    @classmethod
    def of(cls, match: re.Match[str]) -> Self:
        """Read what `str(purpose)` wrote, found by PATTERN."""
        tile = Tile(match["job_id"], int(match["index"])) if match["job_id"] else None
        return cls(Action(match["action"]), tile, match["besides"] or "")


Taker = Callable[[Interaction, Purpose, ModalValues], Awaitable[None]]


class Prompting(commands.Cog):
    """Hand a prompt that was typed into a form to whoever `takes` it, by what it is for."""

    def __init__(self, forms: Forms) -> None:
        self.takers: dict[Action, Taker] = {}
        forms.takers[PROMPT] = self.typed

    async def typed(self, interaction: Interaction, rest: str, filled: ModalValues) -> None:
        """Take a form as it was sent in."""
        match = re.fullmatch(PATTERN, rest)
        assert match is not None
        purpose = Purpose.of(match)
        await self.takers[purpose.action](interaction, purpose, filled)


class EditButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=rf"edit:{PATTERN}"):
    """Edit and retry: opens the form with the prompt that stands in the message."""

    def __init__(self, purpose: Purpose, label: str = "Edit and retry") -> None:
        self.purpose = purpose
        button = discord.ui.Button[discord.ui.View](label=label, custom_id=f"edit:{purpose}")
        super().__init__(button)

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], match: re.Match[str]) -> Self:
        return cls(Purpose.of(match))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            assert interaction.message is not None
            await open_form(interaction, self.purpose, await extract_prompt(interaction.message))


async def open_form(interaction: discord.Interaction[Any], purpose: Purpose, text: str) -> None:
    """Answer an interaction with the form in which a prompt is edited."""
    fields: list[discord.ui.Item[Any]] = [_prompt_field(text)]
    if purpose.action in (Action.REMIX_SUBTLE, Action.REMIX_STRONG):
        fields.append(_how_far_field(purpose.action))
    if purpose.action is Action.VARY_REGION:
        fields.append(_mask_field())
    await interaction.response.send_modal(PersistentModal(f"{PROMPT}:{purpose}", TITLES[purpose.action], *fields))


async def refuse(interaction: Interaction, error: Exception, purpose: Purpose, text: str) -> None:
    """Say privately what is wrong with a prompt, and give it back whole, to be edited."""
    if isinstance(error, discord.NotFound) and error.code == UNKNOWN_INTERACTION:
        log.warning("interaction %s was answered too late, and Discord has forgotten it", interaction.id)
        return
    says, fields = truncate(user_message(error), LONGEST_SAID), {}
    if len(text) <= MAX_TEXT_LENGTH:
        fields["view"] = discord.ui.View(timeout=None).add_item(EditButton(purpose))
    else:
        says += f"\n-# It is longer than the {MAX_TEXT_LENGTH} characters of a form: edit the file, and ask again."
    content, files = format_prompt_block(says, text)
    await respond_ephemeral(interaction, content, files=files, **fields)


def _prompt_field(text: str) -> discord.ui.Label[Any]:
    field = discord.ui.TextInput[Any](
        custom_id=PROMPT,
        style=discord.TextStyle.paragraph,
        default=text,
        max_length=MAX_TEXT_LENGTH,
        required=bool(text),  # pictures can be blended without a word
    )
    return discord.ui.Label(text="Prompt", component=field)


def _how_far_field(action: Action) -> discord.ui.Label[Any]:
    choices = {"Subtle: near the picture": Action.REMIX_SUBTLE, "Strong: far from it": Action.REMIX_STRONG}
    options = [discord.SelectOption(label=label, value=each, default=each is action) for label, each in choices.items()]
    return discord.ui.Label(text="How far", component=discord.ui.Select[Any](custom_id=HOW_FAR, options=options))


def _mask_field() -> discord.ui.Label[Any]:
    upload = discord.ui.FileUpload[Any](custom_id=MASK, required=False, max_values=1)
    return discord.ui.Label(
        text="Mask", description="In place of the chosen parts: white is drawn anew, black stays.", component=upload
    )


def prompting_of(client: discord.Client) -> Prompting:
    """Give the cog to another."""
    return cast(Prompting, cast(Client, client).get_cog("Prompting"))


async def setup(client: Client) -> None:
    """Add the cog and its button; discord.py calls this, after the forms'."""
    await client.add_cog(Prompting(forms_of(client)))
    client.add_dynamic_items(EditButton)
