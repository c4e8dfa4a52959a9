"""Vary (Region): a part of a picture drawn anew, chosen by its name, on a 3×3 picker, or by a mask."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Any, Self, cast

import discord
from discord.ext import commands

from bot.client import Client
from bot.jobs.destination import is_private
from bot.policy.context import context_from
from bot.ui.errors import report_errors, respond_ephemeral
from bot.ui.modals import MAX_TEXT_LENGTH, ModalValues
from cogs.image_buttons.buttons import BLUE, GREY
from cogs.image_buttons.remix import Remix, initial_prompt
from cogs.jobs import Interaction, JobService, get_job_service
from cogs.prompt_modal import (
    MASK_FIELD,
    PROMPT,
    PromptModals,
    PromptTarget,
    get_prompt_modals,
    open_prompt_modal,
    reject_prompt,
)
from generation.errors import UserError
from generation.job import Action
from generation.params import TILE_PATTERN, Tile, Upload
from generation.planning import actions

MAX_PICKERS = 1000  # that are remembered; the others are read off their messages
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
NO_CELLS = "0" * 9
QUESTION = (
    "**What is to be drawn anew?** Name a part, or press its fields. "
    "*Go on* asks for the words, and for a mask if you have one."
)


@dataclass(slots=True)
class Selection:
    """What is chosen in a picker, and what its message was last made to show.

    It is changed by one press at a time, so that the newest choice is shown last.
    """

    cells: str
    shown: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class SelectionCache:
    """What is chosen in the pickers that were used of late.

    A picker's message says what is chosen in it, and a press comes with that message: of two fast ones, the second with
    what was there before the first. So the newest is remembered here; what was used before a restart is not, and needs
    not be.
    """

    def __init__(self) -> None:
        self._by_message: OrderedDict[int, Selection] = OrderedDict()

    def get(self, message: discord.Message) -> Selection:
        """Give what is chosen in a picker, to be looked at or changed."""
        selection = self._by_message.setdefault(message.id, Selection(_selected_cells(message)))
        self._by_message.move_to_end(message.id)
        if len(self._by_message) > MAX_PICKERS:
            self._by_message.popitem(last=False)
        return selection

    def forget(self, message: discord.Message) -> None:
        """Have what is chosen in a picker read off its message again."""
        self._by_message.pop(message.id, None)


class Region(commands.Cog):
    """Ask which part of a picture is meant, and have it drawn anew."""

    def __init__(self, client: Client, jobs: JobService, prompt_modals: PromptModals, remix: Remix) -> None:
        self.jobs, self.remix = jobs, remix
        self.services = client.services
        self.uploads = client.uploads
        self.selections = SelectionCache()
        jobs.button_handlers[Action.VARY_REGION] = self.show_picker
        prompt_modals.handlers[Action.VARY_REGION] = self.on_edited_prompt

    async def show_picker(self, interaction: Interaction, tile: Tile) -> None:
        """Ask privately which part is meant."""
        await self.jobs.require_parent(tile)
        await respond_ephemeral(interaction, QUESTION, view=picker_view(tile, NO_CELLS))

    async def toggle(self, interaction: Interaction, tile: Tile, number: int) -> None:
        """Choose a field of the picker, or no longer."""
        cells = self._selection(interaction).cells
        toggled = "0" if cells[number] == "1" else "1"
        await self.select_cells(interaction, tile, cells[:number] + toggled + cells[number + 1 :])

    async def select_cells(self, interaction: Interaction, tile: Tile, cells: str) -> None:
        """Choose these fields of the picker, and show what is chosen once it is this press's turn."""
        selection = self._selection(interaction)
        selection.cells = cells
        async with selection.lock:
            newest = selection.cells
            if selection.shown != newest:
                await self._show(interaction, tile, newest)
                selection.shown = newest
                return
        await interaction.response.defer()  # with another's; a press has to be answered within three seconds

    async def _show(self, interaction: Interaction, tile: Tile, cells: str) -> None:
        assert interaction.message is not None
        try:
            await interaction.response.edit_message(view=picker_view(tile, cells))
        except Exception:  # or else a field that looks free would be given up when it is pressed once more
            self.selections.forget(interaction.message)
            raise

    def _selection(self, interaction: Interaction) -> Selection:
        assert interaction.message is not None
        return self.selections.get(interaction.message)

    async def continue_to_prompt(self, interaction: Interaction, tile: Tile) -> None:
        """Open the form with the words for what is drawn anew."""
        cells = self._selection(interaction).cells
        parent = await self.jobs.require_parent(tile)
        text = initial_prompt(Action.VARY_REGION, parent.params, self.services.registry)
        # What is drawn anew may be something else than the picture, so a prompt too long for the form is left out.
        await open_prompt_modal(
            interaction, PromptTarget(Action.VARY_REGION, tile, cells), text if len(text) <= MAX_TEXT_LENGTH else ""
        )

    async def on_edited_prompt(self, interaction: Interaction, target: PromptTarget, values: ModalValues) -> None:
        """Have the part drawn anew, or give the words back."""
        text = values.texts[PROMPT]
        try:
            if mask := values.files.get(MASK_FIELD):
                await self.services.policy.check_access(context_from(interaction))
                await self._defer(interaction, target, text)
                target = replace(target, payload=(await self.uploads.import_attachment(mask)).digest)
            await self._submit(interaction, target, text)
        except Exception as error:
            await reject_prompt(interaction, error, target, text)

    async def _defer(self, interaction: Interaction, target: PromptTarget, text: str) -> None:
        """Answer at once that it takes a while, and as privately as the words will want it."""
        assert target.tile is not None
        parent = await self.jobs.require_parent(target.tile)
        preferred = await self.services.preferences.get(interaction.user.id)
        try:
            typed = (await self.remix.parse(interaction, text, parent.params)).private
        except UserError:
            typed = True  # they are given back
        await interaction.response.defer(thinking=True, ephemeral=is_private(interaction, typed, preferred, parent))

    async def _submit(self, interaction: Interaction, target: PromptTarget, text: str) -> None:
        tile, by_cells = target.tile, len(target.payload) == len(NO_CELLS)
        assert tile is not None
        parent = (await self.jobs.require_parent(tile)).params
        request = await self.remix.parse(interaction, text, parent)
        model = self.services.registry.resolve(request.params)
        child = actions.vary_region(
            actions.rescaled_for(parent, model, self.services.registry.find(parent.model)),
            tile,
            model,
            request.params.seed,
            region=[number for number, cell in enumerate(target.payload) if cell == "1"] if by_cells else (),
            mask=None if by_cells else Upload(target.payload),
        )
        params = actions.with_prompt_of(child, request.params)
        await self.jobs.submit(
            interaction, Action.VARY_REGION, params, tile, speed=request.speed, private=request.private
        )


class CellButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=rf"cell(?P<number>[0-8]):{TILE_PATTERN}",
):
    """A field of the picker, blue while it is chosen.

    Its custom_id stays the same whatever is chosen: Discord refuses a press of one that has gone meanwhile.
    """

    def __init__(self, number: int, tile: Tile, selected: bool = False) -> None:
        self.number, self.tile = number, tile
        super().__init__(
            discord.ui.Button(
                label="■" if selected else "□",
                custom_id=f"cell{number}:{tile}",
                style=BLUE if selected else GREY,
                row=number // 3,
            )
        )

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], match: re.Match[str]) -> Self:
        return cls(int(match["number"]), _parse_tile(match))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            await _get_region(interaction).toggle(interaction, self.tile, self.number)


class PresetSelect(discord.ui.DynamicItem[discord.ui.Select[discord.ui.View]], template=rf"part:{TILE_PATTERN}"):
    """The parts that have a name."""

    def __init__(self, tile: Tile, cells: str = NO_CELLS) -> None:
        self.tile = tile
        options = [
            discord.SelectOption(label=name, value=value, default=value == cells) for name, value in PRESETS.items()
        ]
        select = discord.ui.Select[discord.ui.View](
            custom_id=f"part:{tile}", options=options, placeholder="A part by its name", row=3
        )
        super().__init__(select)

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], match: re.Match[str]) -> Self:
        return cls(_parse_tile(match))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            data: Any = interaction.data
            await _get_region(interaction).select_cells(interaction, self.tile, data["values"][0])


class ContinueButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=rf"go_on:{TILE_PATTERN}"):
    """Go on to the words."""

    def __init__(self, tile: Tile) -> None:
        self.tile = tile
        button = discord.ui.Button[discord.ui.View](
            label="Go on", custom_id=f"go_on:{tile}", style=discord.ButtonStyle.success, row=4
        )
        super().__init__(button)

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], match: re.Match[str]) -> Self:
        return cls(_parse_tile(match))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            await _get_region(interaction).continue_to_prompt(interaction, self.tile)


def picker_view(tile: Tile, cells: str) -> discord.ui.View:
    """Give the fields, the names and the way on."""
    view = discord.ui.View(timeout=None)
    for number, cell in enumerate(cells):
        view.add_item(CellButton(number, tile, cell == "1"))
    view.add_item(PresetSelect(tile, cells))
    view.add_item(ContinueButton(tile))
    return view


def _selected_cells(message: discord.Message) -> str:
    """Read off a picker's message what is chosen in it."""
    rows = (row.children for row in message.components if isinstance(row, discord.ActionRow))
    fields = [button for row in rows for button in row if isinstance(button, discord.Button)][: len(NO_CELLS)]
    return "".join("1" if button.style is BLUE else "0" for button in fields)


def _get_region(interaction: discord.Interaction[Any]) -> Region:
    return cast(Region, interaction.client.get_cog("Region"))


def _parse_tile(match: re.Match[str]) -> Tile:
    return Tile(match["job_id"], int(match["index"]))


async def setup(client: Client) -> None:
    """Add the cog and its buttons; discord.py calls this, after the remix'."""
    remix = cast(Remix, client.get_cog("Remix"))
    await client.add_cog(Region(client, get_job_service(client), get_prompt_modals(client), remix))
    client.add_dynamic_items(CellButton, PresetSelect, ContinueButton)
