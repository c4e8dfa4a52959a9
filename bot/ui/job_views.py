"""The buttons below a status message and a result; each custom_id names the action and the job."""

from __future__ import annotations

import re

import discord

from bot.ui.dynamic_items import JOB_PATTERN, persistent_view
from bot.ui.i18n import tr
from bot.ui.modals import MAX_TEXT_LENGTH
from generation.films.mp4 import find_ffmpeg
from generation.job import Action, Job
from generation.models.model import Model
from generation.params import Tile
from generation.planning import actions

_JOB_ID_SUFFIX = re.compile(rf":{JOB_PATTERN}(?:-[0-3])?$")
BLUE, GREY = discord.ButtonStyle.primary, discord.ButtonStyle.secondary

LIKE, REMIX, DETAILS, DELETE = "like", "remix", "details", "delete"  # these create no job, or open a modal first
RETRY = "retry"
WALK_LABEL, WALK_ROW = "Walk", 1
FILM_MP4, FILM_MP4_LABEL, FILM_MP4_ROW = "film_mp4", "As MP4", 1
FAMILY_TREE, FAMILY_TREE_LABEL = "tree", "Family tree"
CANCEL_LABEL, RETRY_LABEL = "Cancel", "Edit and retry"

IMAGE_BUTTON_ROWS: tuple[dict[str, str], ...] = (
    {
        Action.UPSCALE_SUBTLE: "Upscale (Subtle)",
        Action.UPSCALE_CREATIVE: "Upscale (Creative)",
        Action.UPSCALE_CREATIVE_4: "Upscale (4×)",
        Action.CLEAN_UP: "Clean up",
        Action.COLOUR: "Colour",
    },
    {
        Action.VARY_SUBTLE: "Vary (Subtle)",
        Action.VARY_STRONG: "Vary (Strong)",
        Action.VARY_REGION: "Vary (Region)",
        Action.EDIT_WORDS: "Edit words",
    },
    {
        Action.ZOOM_2: "Zoom Out 2×",
        Action.ZOOM_1_5: "Zoom Out 1.5×",
        Action.ZOOM_CUSTOM: "Custom Zoom",
        Action.MAKE_SQUARE: "Make Square",
        Action.ZOOM_FILM: "Animate",
    },
    {
        Action.PAN_LEFT: "⬅️",
        Action.PAN_RIGHT: "➡️",
        Action.PAN_UP: "⬆️",
        Action.PAN_DOWN: "⬇️",
    },
)
LAST_ROW = {LIKE: "❤️", REMIX: "Remix", DETAILS: "Details", DELETE: "Delete"}
ACTION_IDS = (Action.PICK, Action.WALK, *LAST_ROW, *(action for row in IMAGE_BUTTON_ROWS for action in row))
# These take no prompt: pressing the same button again repeats them.
NEVER_REMIXED = (
    Action.PICK,
    Action.UPSCALE_SUBTLE,
    Action.UPSCALE_CREATIVE,
    Action.UPSCALE_CREATIVE_4,
    Action.CLEAN_UP,
    Action.WALK,  # its two ends have prompts of their own
)
NOT_REROLLABLE = (Action.PICK, Action.UPSCALE_SUBTLE, Action.CLEAN_UP)  # another seed would change little or nothing


def text_labels() -> dict[str, str]:
    """Return the labels that are translated, by action; emojis are not."""
    rows = (*IMAGE_BUTTON_ROWS, LAST_ROW, {"cancel": CANCEL_LABEL, RETRY: RETRY_LABEL, FAMILY_TREE: FAMILY_TREE_LABEL})
    rows = (*rows, {FILM_MP4: FILM_MP4_LABEL, Action.WALK: WALK_LABEL})
    return {action: label for row in rows for action, label in row.items() if not _is_emoji(label)}


def cancel_view(job_id: str) -> discord.ui.View:
    """Return the button below a status message."""
    return persistent_view(discord.ui.Button(label=tr(CANCEL_LABEL), custom_id=f"cancel:{job_id}"))


def failed_view(job: Job, prompt: str) -> discord.ui.View | None:
    """Return the button below a failed job's status message, or None if its prompt cannot be edited in a modal."""
    if job.action in NEVER_REMIXED or job.params.reading is not None or len(prompt) > MAX_TEXT_LENGTH:
        return None
    return persistent_view(discord.ui.Button(label=tr(RETRY_LABEL), custom_id=f"{RETRY}:{job.id}"))


def family_tree_view(job_id: str) -> discord.ui.View:
    """Return the button that opens a picture's family tree."""
    return persistent_view(
        discord.ui.Button(label=tr(FAMILY_TREE_LABEL), emoji="🌳", custom_id=f"{FAMILY_TREE}:{job_id}")
    )


def edit_words_button(tile: Tile) -> discord.ui.Button[discord.ui.View]:
    """Return the button that changes the words of a picture."""
    label = next(row[Action.EDIT_WORDS] for row in IMAGE_BUTTON_ROWS if Action.EDIT_WORDS in row)
    return _tile_button(Action.EDIT_WORDS, tile, label, 0)


def result_view(job: Job, model: Model | None) -> discord.ui.View:
    """Return the available buttons below a result, which is a grid or a single image.

    If the model is no longer installed, only buttons that generate nothing remain, and Remix, whose prompt can name
    another model.
    """
    return _image_view(job, model) if job.params.count == 1 else _grid_view(job, model)


def custom_ids(message: discord.Message) -> list[str]:
    """Return the custom_ids of a message's buttons."""
    view = discord.ui.View.from_message(message)
    view.stop()
    return [button.custom_id for button in view.children if isinstance(button, discord.ui.Button) and button.custom_id]


def job_ids(message: discord.Message) -> list[str]:
    """Return the job ids in the custom_ids of a message's buttons, usually one."""
    found = (_JOB_ID_SUFFIX.search(custom_id) for custom_id in custom_ids(message))
    return list(dict.fromkeys(match["job_id"] for match in found if match))


def highlighted_view(message: discord.Message, custom_id: str) -> discord.ui.View:
    """Return the buttons of `message`, with the pressed one blue as well."""
    view = discord.ui.View.from_message(message, timeout=None)
    for button in view.children:
        if isinstance(button, discord.ui.Button) and button.custom_id == custom_id:
            button.style = BLUE
    view.stop()  # otherwise discord.py would dispatch presses to these copies
    return view


def _grid_view(job: Job, model: Model | None) -> discord.ui.View:
    tiles = [Tile(job.id, index) for index in range(job.params.count)]
    items = [_tile_button(Action.PICK, tile, f"U{tile.index + 1}", 0) for tile in tiles]
    if model is None:
        return persistent_view(*items)
    items.append(_reroll_button(job.id, 0))
    available = actions.available_actions(job.params, model)
    if Action.VARY_STRONG in available:
        items += [_tile_button(Action.VARY_STRONG, tile, f"V{tile.index + 1}", 1) for tile in tiles]
    if Action.WALK in available:
        items.append(_tile_button(Action.WALK, tiles[0], WALK_LABEL, WALK_ROW))
    return persistent_view(*items)


def _image_view(job: Job, model: Model | None) -> discord.ui.View:
    tile = Tile(job.id, 0)
    available = actions.available_actions(job.params, model) if model else frozenset()
    if job.action is Action.PICK and job.parent is None:
        available -= {Action.EDIT_WORDS}  # a canvas, which was not drawn at once
    items = [
        _tile_button(action, tile, label, row)
        for row, buttons in enumerate(IMAGE_BUTTON_ROWS)
        for action, label in buttons.items()
        if action in available
    ]
    if job.params.film is not None and find_ffmpeg() is not None:
        items.append(_tile_button(FILM_MP4, tile, FILM_MP4_LABEL, FILM_MP4_ROW))
    last = len(IMAGE_BUTTON_ROWS)
    items += [_tile_button(action_id, tile, label, last) for action_id, label in LAST_ROW.items()]
    if model and job.action not in NOT_REROLLABLE:
        items.append(_reroll_button(job.id, last))
    return persistent_view(*items)


def _tile_button(action_id: str, tile: Tile, label: str, row: int) -> discord.ui.Button[discord.ui.View]:
    return discord.ui.Button(
        custom_id=f"{action_id}:{tile}",
        style=GREY,
        row=row,
        label=None if _is_emoji(label) else tr(label),
        emoji=label if _is_emoji(label) else None,
    )


def _is_emoji(label: str) -> bool:
    return not (label.isascii() or label[0].isalnum())


def _reroll_button(job_id: str, row: int) -> discord.ui.Button[discord.ui.View]:
    return discord.ui.Button(emoji="🔄", custom_id=f"{Action.REROLL}:{job_id}", row=row)
