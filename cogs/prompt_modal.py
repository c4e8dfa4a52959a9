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
from cogs.jobs import Interaction
from cogs.modal_router import ModalRouter, get_modal_router
from generation.job import Action
from generation.params import TILE_PATTERN, Tile

log = logging.getLogger(__name__)

TARGET_PATTERN = rf"(?P<action>[a-z_0-9]+)(?::{TILE_PATTERN})?(?::(?P<besides>[0-9a-f]+))?"
PROMPT, STRENGTH_FIELD, MASK_FIELD = "prompt", "how_far", "mask"  # the fields of a form
MAX_ERROR_LENGTH = 1900  # characters of what is wrong
MODAL_TITLES = {
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
class PromptTarget:
    """What a prompt is for, short enough for a custom_id: what is asked for, and of which tile.

    `besides` is the digest of a picture that was brought, or the chosen cells of a region.
    """

    action: Action
    tile: Tile | None = None
    payload: str = ""

    def __str__(self) -> str:
        return ":".join(map(str, filter(None, (self.action, self.tile, self.payload))))

    @classmethod
    def from_match(cls, match: re.Match[str]) -> Self:
        """Read what `str(purpose)` wrote, found by PATTERN."""
        tile = Tile(match["job_id"], int(match["index"])) if match["job_id"] else None
        return cls(Action(match["action"]), tile, match["besides"] or "")


PromptHandler = Callable[[Interaction, PromptTarget, ModalValues], Awaitable[None]]


class PromptModals(commands.Cog):
    """Hand a prompt that was typed into a form to whoever `takes` it, by what it is for."""

    def __init__(self, modals: ModalRouter) -> None:
        self.handlers: dict[Action, PromptHandler] = {}
        modals.handlers[PROMPT] = self.on_submit

    async def on_submit(self, interaction: Interaction, rest: str, values: ModalValues) -> None:
        """Take a form as it was sent in."""
        match = re.fullmatch(TARGET_PATTERN, rest)
        assert match is not None
        target = PromptTarget.from_match(match)
        await self.handlers[target.action](interaction, target, values)


class EditPromptButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=rf"edit:{TARGET_PATTERN}"):
    """Edit and retry: opens the form with the prompt that stands in the message."""

    def __init__(self, target: PromptTarget, label: str = "Edit and retry") -> None:
        self.target = target
        button = discord.ui.Button[discord.ui.View](label=label, custom_id=f"edit:{target}")
        super().__init__(button)

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], match: re.Match[str]) -> Self:
        return cls(PromptTarget.from_match(match))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            assert interaction.message is not None
            await open_prompt_modal(interaction, self.target, await extract_prompt(interaction.message))


async def open_prompt_modal(interaction: discord.Interaction[Any], target: PromptTarget, text: str) -> None:
    """Answer an interaction with the form in which a prompt is edited."""
    fields: list[discord.ui.Item[Any]] = [_prompt_field(text)]
    if target.action in (Action.REMIX_SUBTLE, Action.REMIX_STRONG):
        fields.append(_strength_field(target.action))
    if target.action is Action.VARY_REGION:
        fields.append(_mask_field())
    await interaction.response.send_modal(PersistentModal(f"{PROMPT}:{target}", MODAL_TITLES[target.action], *fields))


async def reject_prompt(interaction: Interaction, error: Exception, target: PromptTarget, text: str) -> None:
    """Say privately what is wrong with a prompt, and give it back whole, to be edited."""
    if isinstance(error, discord.NotFound) and error.code == UNKNOWN_INTERACTION:
        log.warning("interaction %s was answered too late, and Discord has forgotten it", interaction.id)
        return
    message, fields = truncate(user_message(error), MAX_ERROR_LENGTH), {}
    if len(text) <= MAX_TEXT_LENGTH:
        fields["view"] = discord.ui.View(timeout=None).add_item(EditPromptButton(target))
    else:
        message += f"\n-# It is longer than the {MAX_TEXT_LENGTH} characters of a form: edit the file, and ask again."
    content, files = format_prompt_block(message, text)
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


def _strength_field(action: Action) -> discord.ui.Label[Any]:
    choices = {"Subtle: near the picture": Action.REMIX_SUBTLE, "Strong: far from it": Action.REMIX_STRONG}
    options = [discord.SelectOption(label=label, value=each, default=each is action) for label, each in choices.items()]
    return discord.ui.Label(text="How far", component=discord.ui.Select[Any](custom_id=STRENGTH_FIELD, options=options))


def _mask_field() -> discord.ui.Label[Any]:
    upload = discord.ui.FileUpload[Any](custom_id=MASK_FIELD, required=False, max_values=1)
    return discord.ui.Label(
        text="Mask", description="In place of the chosen parts: white is drawn anew, black stays.", component=upload
    )


def get_prompt_modals(client: discord.Client) -> PromptModals:
    """Give the cog to another."""
    return cast(PromptModals, cast(Client, client).get_cog("PromptModals"))


async def setup(client: Client) -> None:
    """Add the cog and its button; discord.py calls this, after the forms'."""
    await client.add_cog(PromptModals(get_modal_router(client)))
    client.add_dynamic_items(EditPromptButton)
