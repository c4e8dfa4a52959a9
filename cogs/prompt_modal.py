"""A prompt and its target: edited in a modal, and returned in full when it is refused."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any, Self

import discord

from bot.client import Client, Interaction
from bot.ui.dynamic_items import PersistentItem, persistent_view
from bot.ui.errors import UNKNOWN_INTERACTION, respond_ephemeral, user_message
from bot.ui.i18n import tr
from bot.ui.modals import MAX_TEXT_LENGTH, PersistentModal
from bot.ui.prompt_block import extract_prompt, format_prompt_block
from bot.ui.text import truncate
from generation.job import Action
from generation.params import TILE_PATTERN, Tile
from generation.planning import actions

log = logging.getLogger(__name__)

TARGET_PATTERN = rf"(?P<action>[a-z_0-9]+)(?::{TILE_PATTERN})?(?::(?P<payload>[0-9a-f]+))?"
PROMPT, STRENGTH_FIELD, MASK_FIELD = "prompt", "how_far", "mask"  # the custom_ids of the modal's fields
MAX_ERROR_LENGTH = 1900  # characters
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
    Action.SHORTEN: "Shorten",
    Action.EDIT_WORDS: "Edit words",
    Action.EDIT: "Edit",
    Action.COLOUR: "Colour",
}


@dataclass(frozen=True, slots=True)
class PromptTarget:
    """The action and tile that a prompt is for, short enough for a custom_id.

    `payload` is the digest of an uploaded image or mask, or the selected cells of a region.
    """

    action: Action
    tile: Tile | None = None
    payload: str = ""

    def __str__(self) -> str:
        return ":".join(map(str, filter(None, (self.action, self.tile, self.payload))))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the text that `str(target)` wrote; raise ValueError for anything else."""
        match = re.fullmatch(TARGET_PATTERN, text)
        if match is None:
            raise ValueError(f"not a prompt target: {text!r}")
        return cls.from_match(match)

    @classmethod
    def from_match(cls, match: re.Match[str]) -> Self:
        """Return the target that TARGET_PATTERN matched."""
        tile = Tile(match["job_id"], int(match["index"])) if match["job_id"] else None
        return cls(Action(match["action"]), tile, match["payload"] or "")


class EditPromptButton(PersistentItem, template=rf"edit:{TARGET_PATTERN}"):
    """Edit and retry: opens the modal with the prompt in the message."""

    async def run(self, interaction: Interaction) -> None:
        assert interaction.message is not None
        prompt = await extract_prompt(interaction.message)
        await open_prompt_modal(interaction, PromptTarget.from_match(self.match), prompt)


def edit_prompt_button(target: PromptTarget, label: str | None = None) -> discord.ui.Button[discord.ui.View]:
    """Return the button that opens a prompt's modal."""
    return discord.ui.Button(label=label or tr("Edit and retry"), custom_id=f"edit:{target}")


async def open_prompt_modal(
    interaction: discord.Interaction[Any], target: PromptTarget, text: str, *, note: str = ""
) -> None:
    """Respond to an interaction with the modal in which a prompt is edited; `note` stands above its fields."""
    fields: list[discord.ui.Item[Any]] = [discord.ui.TextDisplay(note)] if note else []
    fields.append(_prompt_field(target, text))
    if target.action in (Action.REMIX_SUBTLE, Action.REMIX_STRONG):
        fields.append(_strength_field(target.action))
    if target.action is Action.VARY_REGION:
        fields.append(_mask_field())
    await interaction.response.send_modal(PersistentModal(f"{PROMPT}:{target}", _modal_title(target), *fields))


async def reject_prompt(
    interaction: Interaction,
    error: Exception,
    target: PromptTarget,
    text: str,
    *buttons: discord.ui.Button[discord.ui.View],
) -> None:
    """Send the error privately, with the whole prompt to be edited, and `buttons` for other ways on."""
    if isinstance(error, discord.NotFound) and error.code == UNKNOWN_INTERACTION:
        log.warning("interaction %s was answered too late, so Discord has dropped it", interaction.id)
        return
    message, fields = truncate(user_message(error), MAX_ERROR_LENGTH), {}
    if len(text) <= MAX_TEXT_LENGTH:
        fields["view"] = persistent_view(*buttons, edit_prompt_button(target))
    else:
        hint = tr("-# It has more than {most} characters: edit the file, then try again.", most=MAX_TEXT_LENGTH)
        message += f"\n{hint}"
    content, files = format_prompt_block(message, text)
    await respond_ephemeral(interaction, content, files=files, **fields)


def _modal_title(target: PromptTarget) -> str:
    if target.action is Action.IMAGINE and target.payload:
        return tr("Imagine from this picture")
    return tr(MODAL_TITLES[target.action])


def _field_description(target: PromptTarget) -> str | None:
    """Return what a prompt can say here that it cannot say elsewhere."""
    if target.action is Action.IMAGINE and target.payload:
        return tr("Your picture is used as an image prompt: say what to draw from it.")
    if target.action is Action.ZOOM_CUSTOM:
        return tr(
            "--zoom takes {low:g} to {high:g}: 2 halves the picture. --ar changes the shape.",
            low=actions.MIN_ZOOM,
            high=actions.MAX_ZOOM,
        )
    if target.action in (Action.REMIX_SUBTLE, Action.REMIX_STRONG):
        return tr("--mix and words draw another idea on its shapes; --colour colours a grey picture.")
    if target.action is Action.EDIT_WORDS:
        return tr("Say what shall be there instead. --hold leaves all else as it is, --keep (0 to 100) the layout.")
    if target.action is Action.EDIT:
        return tr("Say what to change. --iw takes 0 to 3: how much of the picture stays.")
    return None


def _prompt_field(target: PromptTarget, text: str) -> discord.ui.Label[Any]:
    field = discord.ui.TextInput[Any](
        custom_id=PROMPT,
        style=discord.TextStyle.paragraph,
        default=text,
        max_length=MAX_TEXT_LENGTH,
        required=bool(text),  # images can be blended without text
    )
    return discord.ui.Label(text=tr("Prompt"), description=_field_description(target), component=field)


def _strength_field(action: Action) -> discord.ui.Label[Any]:
    labels = {
        Action.REMIX_SUBTLE: tr("Subtle (close to the original)"),
        Action.REMIX_STRONG: tr("Strong (far from the original)"),
    }
    options = [discord.SelectOption(label=label, value=each, default=each is action) for each, label in labels.items()]
    select = discord.ui.Select[Any](custom_id=STRENGTH_FIELD, options=options)
    return discord.ui.Label(text=tr("Strength"), component=select)


def _mask_field() -> discord.ui.Label[Any]:
    upload = discord.ui.FileUpload[Any](custom_id=MASK_FIELD, required=False, max_values=1)
    return discord.ui.Label(
        text=tr("Mask"),
        description=tr("Used instead of the selected squares: white is redrawn, black stays."),
        component=upload,
    )


async def setup(client: Client) -> None:
    """Add the button; discord.py calls this."""
    client.add_dynamic_items(EditPromptButton)
