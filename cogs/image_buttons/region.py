"""Vary (Region): redraw a part of an image, chosen by name, on a 3×3 picker, or by a mask."""

from __future__ import annotations

import asyncio
import io
import logging
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import discord

from bot.client import Client, Interaction
from bot.discord_calls import TRANSPORT_ERRORS
from bot.images.numbered_pictures import draw_region_grid
from bot.jobs.destination import is_private
from bot.policy.context import context_from
from bot.policy.visibility import allows_nsfw
from bot.ui import job_text
from bot.ui.dynamic_items import PersistentItem, persistent_view, selected_values
from bot.ui.errors import respond_ephemeral
from bot.ui.i18n import tr
from bot.ui.job_views import BLUE, GREY
from bot.ui.modals import MAX_TEXT_LENGTH, ModalValues, modals
from cogs.image_buttons.remix import initial_prompt, parse_edited, with_references
from cogs.prompt_modal import MASK_FIELD, PROMPT, PromptTarget, open_prompt_modal, reject_prompt
from generation.errors import UserError
from generation.job import Action
from generation.params import TILE_PATTERN, Params, Tile, Upload
from generation.planning import actions
from generation.prompt import PromptRequest

MAX_PICKERS = 1000  # remembered; the selection of an older one is read from its message
PRESETS = {
    "Left half": "100100100",
    "Right half": "001001001",
    "Top": "111000000",
    "Bottom": "000000111",
    "Left and middle": "110110110",
    "Right and middle": "011011011",
    "Top and middle": "111111000",
    "Bottom and middle": "000111111",
    "Middle": "000010000",
    "Middle column": "010010010",
    "Middle row": "000111000",
    "Everything around the middle": "111101111",
    "Corners": "101000101",
}
SQUARE_NAMES = (
    "top left",
    "top",
    "top right",
    "left",
    "middle",
    "right",
    "bottom left",
    "bottom",
    "bottom right",
)
NO_CELLS = "0" * 9
PICTURE_TIMEOUT_S = 1.5  # Discord allows three seconds for the response; a later picture is added to it

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Selection:
    """The selected squares of a picker, and those that its message shows.

    The lock lets one press at a time edit the message, so that the newest selection is shown last.
    """

    cells: str
    shown: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class SelectionCache:
    """The selections of the pickers that were used recently.

    A press comes with the picker's message, which shows the selection. After two fast presses, the second comes with
    the message from before the first. So the newest selection is kept here. After a restart the message is enough.
    """

    def __init__(self) -> None:
        self._by_message: OrderedDict[int, Selection] = OrderedDict()

    def get(self, message: discord.Message) -> Selection:
        """Return the selection of a picker, which the caller may change."""
        selection = self._by_message.setdefault(message.id, Selection(_selected_cells(message)))
        self._by_message.move_to_end(message.id)
        if len(self._by_message) > MAX_PICKERS:
            self._by_message.popitem(last=False)
        return selection

    def forget(self, message: discord.Message) -> None:
        """Drop the selection of a picker: it is read from the message again."""
        self._by_message.pop(message.id, None)


_selections = SelectionCache()


class RegionButton(PersistentItem, template=rf"{Action.VARY_REGION}:{TILE_PATTERN}"):
    """Asks privately which part of an image to redraw."""

    async def run(self, interaction: Interaction) -> None:
        await interaction.client.jobs.require_parent(self.tile)
        picture = asyncio.ensure_future(_picture(interaction, self.tile))
        await asyncio.wait({picture}, timeout=PICTURE_TIMEOUT_S)
        is_late = not picture.done()
        files = [] if is_late else picture.result()
        await respond_ephemeral(interaction, _question(), files=files, view=picker_view(self.tile, NO_CELLS))
        if is_late:
            with suppress(*TRANSPORT_ERRORS):  # the numbers have names as well
                await interaction.edit_original_response(attachments=await picture)


class CellButton(PersistentItem, template=rf"cell(?P<number>[0-8]):{TILE_PATTERN}"):
    """A square of the picker, blue while it is selected.

    Its custom_id does not depend on the selection: Discord refuses a press of a button whose custom_id has changed.
    """

    async def run(self, interaction: Interaction) -> None:
        await toggle(interaction, self.tile, int(self.match["number"]))


class PresetSelect(PersistentItem, template=rf"part:{TILE_PATTERN}"):
    """Selects a part by its name."""

    async def run(self, interaction: Interaction) -> None:
        await select_cells(interaction, self.tile, selected_values(interaction)[0])


class ContinueButton(PersistentItem, template=rf"go_on:{TILE_PATTERN}"):
    """Opens the modal with the prompt for the part that is redrawn."""

    async def run(self, interaction: Interaction) -> None:
        client, cells = interaction.client, _selection(interaction).cells
        parent = await client.jobs.require_parent(self.tile)
        text = initial_prompt(Action.VARY_REGION, parent.params, client.services.registry)
        # The part may show something new, so a prompt that is too long for the modal is left out.
        await open_prompt_modal(
            interaction,
            PromptTarget(Action.VARY_REGION, self.tile, cells),
            text if len(text) <= MAX_TEXT_LENGTH else "",
        )


async def toggle(interaction: Interaction, tile: Tile, number: int) -> None:
    """Select a square of the picker, or deselect it."""
    cells = _selection(interaction).cells
    toggled = "0" if cells[number] == "1" else "1"
    await select_cells(interaction, tile, cells[:number] + toggled + cells[number + 1 :])


async def select_cells(interaction: Interaction, tile: Tile, cells: str) -> None:
    """Select these squares, and show the newest selection once earlier presses have been shown."""
    selection = _selection(interaction)
    selection.cells = cells
    async with selection.lock:
        newest = selection.cells
        if selection.shown != newest:
            await _show(interaction, tile, newest)
            selection.shown = newest
            return
    await interaction.response.defer()  # another press shows it; each needs a response within three seconds


async def _show(interaction: Interaction, tile: Tile, cells: str) -> None:
    assert interaction.message is not None
    try:
        await interaction.response.edit_message(view=picker_view(tile, cells))
    except Exception:  # or the next press would deselect a square that looks unselected
        _selections.forget(interaction.message)
        raise


def _selection(interaction: Interaction) -> Selection:
    assert interaction.message is not None
    return _selections.get(interaction.message)


@modals.route(f"{PROMPT}:{Action.VARY_REGION}")
async def on_edited_prompt(interaction: Interaction, rest: str, values: ModalValues) -> None:
    """Submit the job that redraws the part, or return the prompt with its errors."""
    text, target, services = values.texts[PROMPT], PromptTarget.parse(rest), interaction.client.services
    try:
        if mask := values.files.get(MASK_FIELD):
            await services.policy.check_access(context_from(interaction))
            await _defer(interaction, target, text)
            target = replace(target, payload=(await services.images.uploads.import_attachment(mask)).digest)
        await _submit(interaction, target, text)
    except Exception as error:
        await reject_prompt(interaction, error, target, text)


async def _defer(interaction: Interaction, target: PromptTarget, text: str) -> None:
    """Defer the response, as privately as the prompt asks for."""
    assert target.tile is not None
    parent = await interaction.client.jobs.require_parent(target.tile)
    preferred = await interaction.client.services.db.preferences.get(interaction.user.id)
    try:
        typed = (await _parse(interaction, text, parent.params)).private
    except UserError:
        typed = True  # the prompt is returned with its errors
    private = is_private(interaction, typed, preferred, parent)
    await interaction.client.deferrals.defer(interaction, ephemeral=private, target=str(target), prompt=text)


async def _submit(interaction: Interaction, target: PromptTarget, text: str) -> None:
    tile, by_cells, client = target.tile, len(target.payload) == len(NO_CELLS), interaction.client
    assert tile is not None
    job = await client.jobs.require_parent(tile)
    parent = job.params
    request = await with_references(interaction, await _parse(interaction, text, parent), job)
    registry = client.services.registry
    model = registry.resolve(request.params)
    child = actions.vary_region(
        actions.rescaled_for(parent, model, registry.find(parent.model)),
        tile,
        model,
        request.params.seed,
        region=[number for number, cell in enumerate(target.payload) if cell == "1"] if by_cells else (),
        mask=None if by_cells else Upload(target.payload),
    )
    params = actions.with_prompt_of(child, request.params)
    await client.jobs.submit(
        interaction, Action.VARY_REGION, params, tile, speed=request.speed, private=request.private
    )


async def _parse(interaction: Interaction, text: str, parent: Params) -> PromptRequest:
    """Parse an edited prompt, which may say what the parent's says of the picture that it was made from."""
    forms = [name for name, is_kept in (("mix", parent.mix), ("colour", parent.colourise)) if is_kept]
    return await parse_edited(interaction, text, parent, forms=forms)


def _question() -> str:
    choose = tr("**Which part should be redrawn?** Pick it from the list or press its numbers, then *Continue*.")
    return f"{choose} {tr('You can then edit the prompt and upload a mask.')}"


async def _picture(interaction: Interaction, tile: Tile) -> list[discord.File]:
    """Return the image with numbered squares; nothing if it cannot be read, since the numbers have names as well."""
    services = interaction.client.services
    record = await services.db.jobs.get(tile.job_id)
    try:
        grid = await asyncio.to_thread(draw_region_grid, await services.images.files.read(tile))
    except (OSError, UserError):
        log.info("job %s: the picture of its region picker could not be drawn", tile.job_id, exc_info=True)
        return []
    assert record is not None, "its parent is required before"
    hidden = record.sensitive and not allows_nsfw(interaction.client, interaction.channel_id)
    return [
        discord.File(
            io.BytesIO(grid),
            f"region_{tile}.jpg",
            spoiler=hidden,
            description=job_text.image_description(record.job, services.registry),
        )
    ]


def picker_view(tile: Tile, cells: str) -> discord.ui.View:
    """Return the squares, the named parts and the button that continues."""
    squares: list[discord.ui.Item[Any]] = [
        discord.ui.Button(
            label=_square_label(number, selected=cell == "1"),
            custom_id=f"cell{number}:{tile}",
            style=BLUE if cell == "1" else GREY,
            row=number // 3,
        )
        for number, cell in enumerate(cells)
    ]
    options = [
        discord.SelectOption(label=tr(name), value=value, default=value == cells) for name, value in PRESETS.items()
    ]
    presets = discord.ui.Select[Any](
        custom_id=f"part:{tile}", options=options, placeholder=tr("Choose a part by name"), row=3
    )
    proceed = discord.ui.Button[Any](
        label=tr("Continue"), custom_id=f"go_on:{tile}", style=discord.ButtonStyle.success, row=4
    )
    return persistent_view(*squares, presets, proceed)


def _square_label(number: int, *, selected: bool) -> str:
    label = f"{number + 1} · {tr(SQUARE_NAMES[number])}"
    return f"✓ {label}" if selected else label  # the colour alone says nothing to a screen reader


def _selected_cells(message: discord.Message) -> str:
    """Return the selection that a picker's message shows."""
    rows = (row.children for row in message.components if isinstance(row, discord.ActionRow))
    squares = [button for row in rows for button in row if isinstance(button, discord.Button)][: len(NO_CELLS)]
    return "".join("1" if button.style is BLUE else "0" for button in squares)


async def setup(client: Client) -> None:
    """Add the buttons and the select; discord.py calls this."""
    client.add_dynamic_items(RegionButton, CellButton, PresetSelect, ContinueButton)
