"""/walk and *Walk*: films that go from one picture to another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.jobs.prompt_defaults import load_prompt_defaults
from bot.services import Services
from bot.ui.dynamic_items import PersistentItem
from bot.ui.errors import respond_ephemeral, user_message
from bot.ui.i18n import tr, trn
from bot.ui.modals import ModalValues, PersistentModal, modals
from bot.ui.prompt_block import format_prompt_block
from cogs.image_buttons.animate import cost_note
from generation.errors import UserError
from generation.job import Action, Speed
from generation.models.capabilities import Capability
from generation.params import TILE_PATTERN, Params, Tile
from generation.planning import actions
from generation.planning.walks import LENGTHS, PICTURES_PER_SECOND, walk, walk_between
from generation.prompt import PromptError, PromptRequest, model_parameter
from generation.prompt.errors import unsupported
from generation.prompt.weights import format_parts

MODAL = "walk"
FIRST, SECOND, LENGTH = "first", "second", "length"  # the custom_ids of the modal's fields
LENGTH_NAMES = {
    24: "24 pictures, 4 seconds: counts as 6 jobs",
    36: "36 pictures, 6 seconds: counts as 9 jobs",
    48: "48 pictures, 8 seconds: counts as 12 jobs",
}


class Walk(commands.Cog):
    """Submit walks between two prompts."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @app_commands.command(description="Make a film that goes from one picture to another")
    @app_commands.rename(start="from", end="to")
    @app_commands.describe(
        start="What the film begins with, then parameters such as --ar 3:2 --seed 7",
        end="What it ends with; after it, only --seed",
        length="How many pictures to draw (default: 24)",
    )
    @app_commands.choices(
        length=[app_commands.Choice(name=name, value=length) for length, name in LENGTH_NAMES.items()]
    )
    async def walk(
        self,
        interaction: Interaction,
        start: app_commands.Range[str, 1, 6000],
        end: app_commands.Range[str, 1, 6000],
        length: int = LENGTHS[0],
    ) -> None:
        try:
            request = await _read_start(interaction, start)
            params = await self._params(interaction, request.params, end, length)
            await _submit(interaction, params, request)
        except UserError as error:
            content, files = format_prompt_block(user_message(error), f"{start}\n{end}")
            await respond_ephemeral(interaction, content, files=files)

    async def _params(self, interaction: Interaction, start: Params, end: str, length: int) -> Params:
        """Return the params of a walk from `start` to a typed prompt; without a `--seed` the noise stays the same."""
        defaults = await load_prompt_defaults(self.services, interaction)
        typed = defaults.read(end, model_parameter(start.model))
        if others := sorted(typed.parameters.keys() - {"seed"}):
            names = ", ".join(f"`--{name}`" for name in others)
            raise UserError(tr("Put {names} behind the first prompt: both ends have the same settings.", names=names))
        if typed.request is None:
            raise PromptError(*typed.problems)
        if typed.links:
            raise UserError(_words_only())
        other = typed.request.params
        seed = other.seed if "seed" in typed.parameters else start.seed
        return walk(start, other.parts, seed, length, format_parts(other.parts) if other.parts != start.parts else "")


async def _read_start(interaction: Interaction, typed: str) -> PromptRequest:
    requests = await interaction.client.prompts.parse(interaction, typed, with_image=False, ignored=("repeat",))
    if len(requests) != 1:
        raise UserError(tr("A walk begins with one picture: leave out choices in braces and `--repeat`."))
    if requests[0].has_links:
        raise UserError(_words_only())
    _require_walks(interaction, requests[0].params)
    (params,) = await interaction.client.prompts.resolve_images(interaction, requests, None)
    return replace(requests[0], params=params)


def _words_only() -> str:
    return tr("A walk goes between words: leave out the links to pictures.")


def _require_walks(interaction: Interaction, params: Params) -> None:
    model = interaction.client.services.registry.resolve(params)
    if Capability.WALK not in model.capabilities:
        raise PromptError(unsupported("`/walk`", model, Capability.WALK))


async def _submit(interaction: Interaction, params: Params, request: PromptRequest) -> None:
    speed = request.speed or Speed.RELAX  # so many pictures can wait for those of others
    await interaction.client.jobs.submit(interaction, Action.WALK, params, speed=speed, private=request.private)


class WalkButton(PersistentItem, template=rf"{Action.WALK}:{TILE_PATTERN}"):
    """Asks between which pictures of a grid to walk, and says what that costs."""

    async def run(self, interaction: Interaction) -> None:
        parent = await _require_grid(interaction, self.tile)
        numbers = range(1, parent.count + 1)
        fields = (
            _picture_field(FIRST, tr("From"), numbers, 1),
            _picture_field(SECOND, tr("To"), numbers, 2),
            _length_field(interaction, parent),
        )
        await interaction.response.send_modal(PersistentModal(f"{MODAL}:{self.tile}", tr("Walk"), *fields))


async def _require_grid(interaction: Interaction, tile: Tile) -> Params:
    """Return a grid's params; raise UserError if there is no walk between its pictures."""
    parent = (await interaction.client.jobs.require_parent(tile)).params
    model = interaction.client.services.registry.resolve(parent)
    if Action.WALK not in actions.available_actions(parent, model):
        raise UserError(tr("This cannot be done with this picture."))
    return replace(parent, model=model.name)


def _picture_field(custom_id: str, label: str, numbers: range, chosen: int) -> discord.ui.Label[Any]:
    options = [
        discord.SelectOption(label=tr("Picture {number}", number=number), value=str(number), default=number == chosen)
        for number in numbers
    ]
    return discord.ui.Label(text=label, component=discord.ui.Select[Any](custom_id=custom_id, options=options))


def _length_field(interaction: Interaction, parent: Params) -> discord.ui.Label[Any]:
    base = walk(replace(parent, seed=0), parent.parts, 1, LENGTHS[0])
    options = [
        discord.SelectOption(
            label=trn("{n} picture", "{n} pictures", length),
            value=str(length),
            description=cost_note(interaction, base, length),
            default=length == LENGTHS[0],
        )
        for length in LENGTHS
    ]
    description = tr("{number} of them are a second of film.", number=PICTURES_PER_SECOND)
    select = discord.ui.Select[Any](custom_id=LENGTH, options=options)
    return discord.ui.Label(text=tr("Pictures to draw"), description=description, component=select)


@modals.route(MODAL)
async def on_walk(interaction: Interaction, rest: str, values: ModalValues) -> None:
    """Submit a walk between two pictures of a grid."""
    tile = Tile.parse(rest)
    parent = await _require_grid(interaction, tile)
    first, second = (
        Tile(tile.job_id, int(values.selected.get(name, default)) - 1) for name, default in ((FIRST, 1), (SECOND, 2))
    )
    params = walk_between(parent, first, second, int(values.selected.get(LENGTH, LENGTHS[0])))
    await interaction.client.jobs.submit(
        interaction,
        Action.WALK,
        params,
        first,
        speed=Speed.RELAX,
        pressed=f"{Action.WALK}:{tile}",
    )


async def setup(client: Client) -> None:
    """Add the cog and the button; discord.py calls this."""
    await client.add_cog(Walk(client.services))
    client.add_dynamic_items(WalkButton)
