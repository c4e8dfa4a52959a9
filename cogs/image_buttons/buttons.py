"""The buttons below a notice and a result: whose they are and what is done stands in their custom_id alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self, cast

import discord

from bot.ui.errors import report_errors
from bot.ui.modals import MAX_TEXT_LENGTH
from generation.errors import UserError
from generation.job import Action, Job
from generation.models.model import Model
from generation.params import TILE_PATTERN, Tile
from generation.planning import actions

if TYPE_CHECKING:
    from cogs.jobs import JobService

JOB_PATTERN = r"(?P<job_id>[0-9a-f]{12})"
_JOB_ID_SUFFIX = re.compile(rf":{JOB_PATTERN}(?:-[0-3])?$")
BLUE, GREY = discord.ButtonStyle.primary, discord.ButtonStyle.secondary

LIKE, REMIX, DETAILS, DELETE = "like", "remix", "details", "delete"  # what makes no job, or asks something first
RETRY = "retry"

IMAGE_BUTTON_ROWS: tuple[dict[str, str], ...] = (
    {
        Action.UPSCALE_SUBTLE: "Upscale (Subtle)",
        Action.UPSCALE_CREATIVE: "Upscale (Creative)",
        Action.UPSCALE_CREATIVE_4: "Upscale (4×)",
    },
    {
        Action.VARY_SUBTLE: "Vary (Subtle)",
        Action.VARY_STRONG: "Vary (Strong)",
        Action.VARY_REGION: "Vary (Region)",
    },
    {
        Action.ZOOM_2: "Zoom Out 2×",
        Action.ZOOM_1_5: "Zoom Out 1.5×",
        Action.ZOOM_CUSTOM: "Custom Zoom",
        Action.MAKE_SQUARE: "Make Square",
    },
    {
        Action.PAN_LEFT: "⬅️",
        Action.PAN_RIGHT: "➡️",
        Action.PAN_UP: "⬆️",
        Action.PAN_DOWN: "⬇️",
    },
)
LAST_ROW = {LIKE: "❤️", REMIX: "Remix", DETAILS: "Details", DELETE: "Delete"}
ACTION_IDS = [Action.PICK, *LAST_ROW, *(act for row in IMAGE_BUTTON_ROWS for act in row)]
# Nobody is asked for words here: whoever wants it once more presses the same button once more.
NEVER_REMIXED = (Action.PICK, Action.UPSCALE_SUBTLE, Action.UPSCALE_CREATIVE, Action.UPSCALE_CREATIVE_4)
NOT_REROLLABLE = (Action.PICK, Action.UPSCALE_SUBTLE)  # drawn again from other noise, they would look the same


class TileButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=rf"(?P<act>{'|'.join(ACTION_IDS)}):{TILE_PATTERN}",
):
    """U1–U4, V1–V4 and whatever else is done with one tile; the road's doors say what."""

    def __init__(self, action_id: str, tile: Tile, label: str, row: int) -> None:
        self.action_id, self.tile = action_id, tile
        is_word = label.isascii() or label[0].isalnum()
        label_or_emoji: dict[str, Any] = {"label": label} if is_word else {"emoji": label}
        super().__init__(discord.ui.Button(custom_id=f"{action_id}:{tile}", style=GREY, row=row, **label_or_emoji))

    @classmethod
    async def from_custom_id(
        cls, _: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str]
    ) -> Self:
        return cls(match["act"], Tile(match["job_id"], int(match["index"])), "?", item.row or 0)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            handler = _get_job_service(interaction).button_handlers.get(self.action_id)
            if handler is None:
                raise UserError("This button does nothing here any more.")
            await handler(interaction, self.tile)


class RerollButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=rf"reroll:{JOB_PATTERN}"):
    """🔄: the same prompt with a new seed."""

    def __init__(self, job_id: str, row: int = 0) -> None:
        self.job_id = job_id
        super().__init__(discord.ui.Button(emoji="🔄", custom_id=f"{Action.REROLL}:{job_id}", row=row))

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], match: re.Match[str]) -> Self:
        return cls(match["job_id"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            await _get_job_service(interaction).button_handlers[Action.REROLL](interaction, Tile(self.job_id, 0))


class CancelButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=rf"cancel:{JOB_PATTERN}"):
    """Cancel, below a notice."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(discord.ui.Button(label="Cancel", custom_id=f"cancel:{job_id}"))

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], match: re.Match[str]) -> Self:
        return cls(match["job_id"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            await _get_job_service(interaction).cancel_from_button(interaction, self.job_id)


class RetryButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=rf"{RETRY}:{JOB_PATTERN}"):
    """Edit and retry, below the notice of a job that failed."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(discord.ui.Button(label="Edit and retry", custom_id=f"{RETRY}:{job_id}"))

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], match: re.Match[str]) -> Self:
        return cls(match["job_id"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            await _get_job_service(interaction).button_handlers[RETRY](interaction, Tile(self.job_id, 0))


def cancel_view(job_id: str) -> discord.ui.View:
    """Give the button below a notice."""
    view = discord.ui.View(timeout=None)
    view.add_item(CancelButton(job_id))
    return view


def failed_view(job: Job, prompt: str) -> discord.ui.View | None:
    """Give the button below the notice of a failed job, where there are words to change and they fit into a form."""
    if job.action in NEVER_REMIXED or len(prompt) > MAX_TEXT_LENGTH:
        return None
    return discord.ui.View(timeout=None).add_item(RetryButton(job.id))


def result_view(job: Job, model: Model | None) -> discord.ui.View:
    """Give the buttons below a result: a grid's or a single picture's, and only what can be done with it.

    Where its model has gone, that is what needs nothing drawn, and a remix, whose words may name another.
    """
    return _image_view(job, model) if job.params.count == 1 else _grid_view(job, model)


def custom_ids(message: discord.Message) -> list[str]:
    """Give what the buttons of a message are called."""
    view = discord.ui.View.from_message(message)
    view.stop()
    return [button.custom_id for button in view.children if isinstance(button, discord.ui.Button) and button.custom_id]


def job_ids(message: discord.Message) -> list[str]:
    """Give the jobs that the buttons of a message are about, as a rule one."""
    found = (_JOB_ID_SUFFIX.search(custom_id) for custom_id in custom_ids(message))
    return list(dict.fromkeys(match["job_id"] for match in found if match))


def highlighted_view(message: discord.Message, custom_id: str) -> discord.ui.View:
    """Give the buttons that `message` has now, with the one just pressed blue as well."""
    view = discord.ui.View.from_message(message, timeout=None)
    for button in view.children:
        if isinstance(button, discord.ui.Button) and button.custom_id == custom_id:
            button.style = BLUE
    view.stop()  # or else discord.py would keep these plain copies and send presses to them
    return view


def _grid_view(job: Job, model: Model | None) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    for index in range(job.params.count):
        view.add_item(TileButton(Action.PICK, Tile(job.id, index), f"U{index + 1}", 0))
    if model is None:
        return view
    view.add_item(RerollButton(job.id))
    if Action.VARY_STRONG not in actions.available_actions(job.params, model):
        return view
    for index in range(job.params.count):
        view.add_item(TileButton(Action.VARY_STRONG, Tile(job.id, index), f"V{index + 1}", 1))
    return view


def _image_view(job: Job, model: Model | None) -> discord.ui.View:
    view, tile = discord.ui.View(timeout=None), Tile(job.id, 0)
    available = actions.available_actions(job.params, model) if model else frozenset()
    for row, buttons in enumerate(IMAGE_BUTTON_ROWS):
        for action_id, label in buttons.items():
            if action_id in available:
                view.add_item(TileButton(action_id, tile, label, row))
    last = len(IMAGE_BUTTON_ROWS)
    for action_id, label in LAST_ROW.items():
        view.add_item(TileButton(action_id, tile, label, last))
    if model and job.action not in NOT_REROLLABLE:
        view.add_item(RerollButton(job.id, last))
    return view


def _get_job_service(interaction: discord.Interaction[Any]) -> JobService:
    return cast("JobService", interaction.client.get_cog("JobService"))
