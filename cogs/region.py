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
from cogs.buttons import BLUE, GREY
from cogs.prompting import MASK, PROMPT, Prompting, Purpose, open_form, prompting_of, refuse
from cogs.remix import Remix, proposed
from cogs.road import Interaction, Road, road_of
from generation.errors import UserError
from generation.job import Action
from generation.params import TILE_PATTERN, Tile, Upload
from generation.planning import actions

MOST_PICKERS = 1000  # that are remembered; the others are read off their messages
PARTS = {
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
NOTHING = "0" * 9
QUESTION = (
    "**What is to be drawn anew?** Name a part, or press its fields. "
    "*Go on* asks for the words, and for a mask if you have one."
)


@dataclass(slots=True)
class Choice:
    """What is chosen in a picker, and what its message was last made to show.

    It is changed by one press at a time, so that the newest choice is shown last.
    """

    cells: str
    shown: str = ""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Choices:
    """What is chosen in the pickers that were used of late.

    A picker's message says what is chosen in it, and a press comes with that message: of two fast ones, the second with
    what was there before the first. So the newest is remembered here; what was used before a restart is not, and needs
    not be.
    """

    def __init__(self) -> None:
        self._by_message: OrderedDict[int, Choice] = OrderedDict()

    def of(self, message: discord.Message) -> Choice:
        """Give what is chosen in a picker, to be looked at or changed."""
        choice = self._by_message.setdefault(message.id, Choice(_shown(message)))
        self._by_message.move_to_end(message.id)
        if len(self._by_message) > MOST_PICKERS:
            self._by_message.popitem(last=False)
        return choice

    def forget(self, message: discord.Message) -> None:
        """Have what is chosen in a picker read off its message again."""
        self._by_message.pop(message.id, None)


class Region(commands.Cog):
    """Ask which part of a picture is meant, and have it drawn anew."""

    def __init__(self, client: Client, road: Road, prompting: Prompting, remix: Remix) -> None:
        self.road, self.remix = road, remix
        self.studio = client.services
        self.taking_in = client.uploads
        self.choices = Choices()
        road.doors[Action.VARY_REGION] = self.ask
        prompting.takers[Action.VARY_REGION] = self.edited

    async def ask(self, interaction: Interaction, tile: Tile) -> None:
        """Ask privately which part is meant."""
        await self.road.parent(tile)
        await respond_ephemeral(interaction, QUESTION, view=picker(tile, NOTHING))

    async def turn(self, interaction: Interaction, tile: Tile, number: int) -> None:
        """Choose a field of the picker, or no longer."""
        cells = self._choice(interaction).cells
        turned = "0" if cells[number] == "1" else "1"
        await self.choose(interaction, tile, cells[:number] + turned + cells[number + 1 :])

    async def choose(self, interaction: Interaction, tile: Tile, cells: str) -> None:
        """Choose these fields of the picker, and show what is chosen once it is this press's turn."""
        choice = self._choice(interaction)
        choice.cells = cells
        async with choice.turn:
            newest = choice.cells
            if choice.shown != newest:
                await self._show(interaction, tile, newest)
                choice.shown = newest
                return
        await interaction.response.defer()  # with another's; a press has to be answered within three seconds

    async def _show(self, interaction: Interaction, tile: Tile, cells: str) -> None:
        assert interaction.message is not None
        try:
            await interaction.response.edit_message(view=picker(tile, cells))
        except Exception:  # or else a field that looks free would be given up when it is pressed once more
            self.choices.forget(interaction.message)
            raise

    def _choice(self, interaction: Interaction) -> Choice:
        assert interaction.message is not None
        return self.choices.of(interaction.message)

    async def go_on(self, interaction: Interaction, tile: Tile) -> None:
        """Open the form with the words for what is drawn anew."""
        cells = self._choice(interaction).cells
        parent = await self.road.parent(tile)
        text = proposed(Action.VARY_REGION, parent.params, self.studio.registry)
        # What is drawn anew may be something else than the picture, so a prompt too long for the form is left out.
        await open_form(
            interaction, Purpose(Action.VARY_REGION, tile, cells), text if len(text) <= MAX_TEXT_LENGTH else ""
        )

    async def edited(self, interaction: Interaction, purpose: Purpose, filled: ModalValues) -> None:
        """Have the part drawn anew, or give the words back."""
        text = filled.texts[PROMPT]
        try:
            if mask := filled.files.get(MASK):
                await self.studio.policy.check_access(context_from(interaction))
                await self._gain_time(interaction, purpose, text)
                purpose = replace(purpose, besides=(await self.taking_in.import_attachment(mask)).digest)
            await self._make(interaction, purpose, text)
        except Exception as error:
            await refuse(interaction, error, purpose, text)

    async def _gain_time(self, interaction: Interaction, purpose: Purpose, text: str) -> None:
        """Answer at once that it takes a while, and as privately as the words will want it."""
        assert purpose.tile is not None
        parent = await self.road.parent(purpose.tile)
        preferred = await self.studio.preferences.get(interaction.user.id)
        try:
            typed = (await self.remix.read(interaction, text, parent.params)).private
        except UserError:
            typed = True  # they are given back
        await interaction.response.defer(thinking=True, ephemeral=is_private(interaction, typed, preferred, parent))

    async def _make(self, interaction: Interaction, purpose: Purpose, text: str) -> None:
        tile, by_cells = purpose.tile, len(purpose.besides) == len(NOTHING)
        assert tile is not None
        parent = (await self.road.parent(tile)).params
        wish = await self.remix.read(interaction, text, parent)
        model = self.studio.registry.resolve(wish.params)
        child = actions.vary_region(
            actions.rescaled_for(parent, model, self.studio.registry.find(parent.model)),
            tile,
            model,
            wish.params.seed,
            region=[number for number, cell in enumerate(purpose.besides) if cell == "1"] if by_cells else (),
            mask=None if by_cells else Upload(purpose.besides),
        )
        params = actions.with_prompt_of(child, wish.params)
        await self.road.ask(interaction, Action.VARY_REGION, params, tile, speed=wish.speed, private=wish.private)


class CellButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=rf"cell(?P<number>[0-8]):{TILE_PATTERN}",
):
    """A field of the picker, blue while it is chosen.

    Its custom_id stays the same whatever is chosen: Discord refuses a press of one that has gone meanwhile.
    """

    def __init__(self, number: int, tile: Tile, chosen: bool = False) -> None:
        self.number, self.tile = number, tile
        super().__init__(
            discord.ui.Button(
                label="■" if chosen else "□",
                custom_id=f"cell{number}:{tile}",
                style=BLUE if chosen else GREY,
                row=number // 3,
            )
        )

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], match: re.Match[str]) -> Self:
        return cls(int(match["number"]), _tile(match))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            await _region(interaction).turn(interaction, self.tile, self.number)


class PartSelect(discord.ui.DynamicItem[discord.ui.Select[discord.ui.View]], template=rf"part:{TILE_PATTERN}"):
    """The parts that have a name."""

    def __init__(self, tile: Tile, cells: str = NOTHING) -> None:
        self.tile = tile
        options = [
            discord.SelectOption(label=name, value=value, default=value == cells) for name, value in PARTS.items()
        ]
        select = discord.ui.Select[discord.ui.View](
            custom_id=f"part:{tile}", options=options, placeholder="A part by its name", row=3
        )
        super().__init__(select)

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], match: re.Match[str]) -> Self:
        return cls(_tile(match))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            data: Any = interaction.data
            await _region(interaction).choose(interaction, self.tile, data["values"][0])


class GoOnButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=rf"go_on:{TILE_PATTERN}"):
    """Go on to the words."""

    def __init__(self, tile: Tile) -> None:
        self.tile = tile
        button = discord.ui.Button[discord.ui.View](
            label="Go on", custom_id=f"go_on:{tile}", style=discord.ButtonStyle.success, row=4
        )
        super().__init__(button)

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], match: re.Match[str]) -> Self:
        return cls(_tile(match))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            await _region(interaction).go_on(interaction, self.tile)


def picker(tile: Tile, cells: str) -> discord.ui.View:
    """Give the fields, the names and the way on."""
    view = discord.ui.View(timeout=None)
    for number, cell in enumerate(cells):
        view.add_item(CellButton(number, tile, cell == "1"))
    view.add_item(PartSelect(tile, cells))
    view.add_item(GoOnButton(tile))
    return view


def _shown(message: discord.Message) -> str:
    """Read off a picker's message what is chosen in it."""
    rows = (row.children for row in message.components if isinstance(row, discord.ActionRow))
    fields = [button for row in rows for button in row if isinstance(button, discord.Button)][: len(NOTHING)]
    return "".join("1" if button.style is BLUE else "0" for button in fields)


def _region(interaction: discord.Interaction[Any]) -> Region:
    return cast(Region, interaction.client.get_cog("Region"))


def _tile(match: re.Match[str]) -> Tile:
    return Tile(match["job_id"], int(match["index"]))


async def setup(client: Client) -> None:
    """Add the cog and its buttons; discord.py calls this, after the remix'."""
    remix = cast(Remix, client.get_cog("Remix"))
    await client.add_cog(Region(client, road_of(client), prompting_of(client), remix))
    client.add_dynamic_items(CellButton, PartSelect, GoOnButton)
