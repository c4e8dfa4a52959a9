"""Remix: other words for what a button does, typed into a form."""

from __future__ import annotations

from dataclasses import replace

from discord.ext import commands

from bot.client import Client
from bot.jobs.prompt_defaults import default_model_parameter
from bot.ui.modals import MAX_TEXT_LENGTH, ModalValues
from cogs.buttons import REMIX, RETRY
from cogs.pressing import MADE, REMIXED, Pressing, make, pressing_of
from cogs.prompting import HOW_FAR, PROMPT, Prompting, Purpose, open_form, prompting_of, refuse
from cogs.road import Interaction, Road, road_of
from db.jobs import JobState
from generation.errors import UserError
from generation.job import Action, Job
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import Params, Tile, Upload
from generation.planning import actions
from generation.prompt import PromptError, PromptRequest, format_prompt, parse_prompt

REMIX_OF = {Action.VARY_SUBTLE: Action.REMIX_SUBTLE, Action.VARY_STRONG: Action.REMIX_STRONG}
PLAIN = {remixed: plain for plain, remixed in REMIX_OF.items()}
ZOOM = 2.0  # what Custom Zoom proposes


class Remix(commands.Cog):
    """Ask for other words, and make what a button makes with them."""

    def __init__(self, client: Client, road: Road, prompting: Prompting, pressing: Pressing) -> None:
        self.road = road
        self.studio = client.services
        pressing.ask_first = self.ask_first
        road.doors[REMIX] = self.remix
        road.doors[RETRY] = self.retry
        road.doors[Action.ZOOM_CUSTOM] = self.zoom
        prompting.takers |= dict.fromkeys((*REMIXED, *PLAIN, Action.ZOOM_CUSTOM), self.edited)

    async def remix(self, interaction: Interaction, tile: Tile) -> None:
        """Open the form of a remix; of other noise where the model cannot start from the picture."""
        params = (await self.road.parent(tile)).params
        model = self.studio.registry.find(params.model)
        starts_anew = model is not None and Action.REMIX_STRONG not in actions.available_actions(params, model)
        await self._open(interaction, Action.REROLL if starts_anew else Action.REMIX_STRONG, tile)

    async def retry(self, interaction: Interaction, tile: Tile) -> None:
        """Open the form of a job that failed: it is asked for once more, with other words perhaps."""
        record = await self.studio.store.get(tile.job_id)
        if record is None:
            raise UserError("I do not know this job any more: copy the prompt, and use `/imagine`.")
        if record.job.requester.id != interaction.user.id:
            whom = f"<@{record.job.requester.id}>"
            raise UserError(f"Only {whom} can ask for this again: copy the prompt, and use `/imagine`.")
        await self._open(interaction, Action.REROLL, tile)

    async def zoom(self, interaction: Interaction, tile: Tile) -> None:
        """Open the form of a zoom by another factor, or into another shape."""
        await self._open(interaction, Action.ZOOM_CUSTOM, tile)

    async def ask_first(self, interaction: Interaction, action: Action, parent: Job, tile: Tile) -> bool:
        """Open the form with the prompt of the picture that a button belongs to; False where it is too long for one."""
        text = proposed(action, parent.params, self.studio.registry)
        if len(text) > MAX_TEXT_LENGTH:
            return False
        await open_form(interaction, Purpose(action, tile), text)
        return True

    async def _open(self, interaction: Interaction, action: Action, tile: Tile) -> None:
        if not await self.ask_first(interaction, action, await self._parent(action, tile), tile):
            raise UserError(f"This prompt has more than the {MAX_TEXT_LENGTH} characters that fit into a form.")

    async def edited(self, interaction: Interaction, purpose: Purpose, filled: ModalValues) -> None:
        """Make what was asked for with the words of a form, or give them back."""
        text = filled.texts[PROMPT]
        purpose = replace(purpose, action=Action(filled.selected.get(HOW_FAR, purpose.action)))
        try:
            await self._make(interaction, purpose, text)
        except Exception as error:
            await refuse(interaction, error, purpose, text)

    async def _make(self, interaction: Interaction, purpose: Purpose, text: str) -> None:
        tile, action, repertoire = purpose.tile, purpose.action, self.studio.registry
        assert tile is not None
        parent = await self._parent(action, tile)
        pressed = f"{action}:{tile}"
        if " ".join(text.split()) == proposed(action, parent.params, repertoire) and action is not Action.ZOOM_CUSTOM:
            action = PLAIN.get(action, action)
            params = make(action, parent.params, tile, repertoire.resolve(parent.params), actions.new_seed())
            await self.road.ask(interaction, action, params, tile, pressed=pressed)
            return
        wish = await self.read(interaction, text, parent.params, zooming=action is Action.ZOOM_CUSTOM)
        model = repertoire.resolve(wish.params)
        before = actions.rescaled_for(parent.params, model, repertoire.find(parent.params.model))
        if action is Action.ZOOM_CUSTOM:
            factor = ZOOM if wish.zoom is None else wish.zoom
            child = actions.zoom_out(before, tile, model, wish.params.seed, factor, wish.aspect)
            params = actions.with_prompt_of(child, wish.params)
        else:
            action = REMIX_OF.get(action, action)
            params = remixed(action, before, wish.params, tile, model)
        await self.road.ask(interaction, action, params, tile, speed=wish.speed, private=wish.private, pressed=pressed)

    async def _parent(self, action: Action, tile: Tile) -> Job:
        """Give the job that a form is about: one that failed left no picture, and needs none to be drawn again."""
        record = await self.studio.store.get(tile.job_id)
        failed = record is not None and record.state is JobState.FAILED
        return record.job if record and failed and action is Action.REROLL else await self.road.parent(tile)

    async def read(
        self, interaction: Interaction, text: str, parent: Params, *, zooming: bool = False
    ) -> PromptRequest:
        """Read edited words: everything that counts stands there, so that what the person prefers is not added."""
        options = await self.studio.preferences.options(interaction.user.id)
        pictures = 1 + len(parent.blended) if isinstance(parent.source, Upload) else 0
        if not any(part.text for part in parent.parts):
            pictures = max(pictures, 2)  # it comes from a blend, which needs no words
        here = self.studio.registry
        defaults = (default_model_parameter(await self.studio.policy.settings(interaction.guild_id), here),)
        wish = parse_prompt(text, here, attached=pictures, defaults=defaults, options=options, allow_zoom=zooming)
        faults = ["Links to pictures cannot be used here: the picture is where it starts"] if wish.links else []
        faults += ["`--repeat` cannot be used here"] if wish.repeat > 1 else []
        if faults:
            raise PromptError(*faults)
        return wish


def proposed(action: Action, parent: Params, repertoire: ModelRegistry) -> str:
    """Give the prompt that a form begins with: without its shape where the button decides on that."""
    if action is not Action.REROLL:
        parent = actions.with_distinct_seeds(parent)
    model = repertoire.find(parent.model) or repertoire.default
    panorama = max(parent.aspect) > model.max_aspect * min(parent.aspect)
    if action is Action.ZOOM_CUSTOM:
        shape = "" if panorama else f" --ar {parent.aspect[0]}:{parent.aspect[1]}"
        return f"{format_prompt(replace(parent, aspect=(1, 1)), repertoire)}{shape} --zoom {ZOOM:g}".strip()
    if panorama or action not in (Action.REROLL, *REMIX_OF, *PLAIN):
        parent = replace(parent, aspect=(1, 1))
    return format_prompt(parent, repertoire)


def remixed(action: Action, parent: Params, edited: Params, tile: Tile, model: Model) -> Params:
    """Give what a button asks for with the words of an edited prompt."""
    if action is Action.REROLL:
        if isinstance(parent.source, Tile):
            return actions.with_prompt_of(parent, edited)
        return replace(edited, source=parent.source, blended=parent.blended)
    if action not in PLAIN:
        return actions.with_prompt_of(make(action, parent, tile, model, edited.seed), edited)
    if max(parent.aspect) > model.max_aspect * min(parent.aspect):
        edited = replace(edited, aspect=parent.aspect, width=parent.width, height=parent.height)
    return replace(MADE[PLAIN[action]](edited, tile, model, edited.seed), same_seed=edited.same_seed)


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this, after the road's, the prompts' and the buttons'."""
    await client.add_cog(Remix(client, road_of(client), prompting_of(client), pressing_of(client)))
