"""Remix: other words for what a button does, typed into a form."""

from __future__ import annotations

from dataclasses import replace

from discord.ext import commands

from bot.client import Client
from bot.jobs.prompt_defaults import default_model_parameter
from bot.ui.modals import MAX_TEXT_LENGTH, ModalValues
from cogs.image_buttons.buttons import REMIX, RETRY
from cogs.image_buttons.variations import ACTION_PARAMS, REMIXABLE, ImageActions, get_image_actions, params_for
from cogs.jobs import Interaction, JobService, get_job_service
from cogs.prompt_modal import (
    PROMPT,
    STRENGTH_FIELD,
    PromptModals,
    PromptTarget,
    get_prompt_modals,
    open_prompt_modal,
    reject_prompt,
)
from db.jobs import JobState
from generation.errors import UserError
from generation.job import Action, Job
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import Params, Tile, Upload
from generation.planning import actions
from generation.prompt import PromptError, PromptRequest, format_prompt, parse_prompt

REMIX_ACTION = {Action.VARY_SUBTLE: Action.REMIX_SUBTLE, Action.VARY_STRONG: Action.REMIX_STRONG}
BASE_ACTION = {remix: base for base, remix in REMIX_ACTION.items()}
DEFAULT_ZOOM = 2.0  # what Custom Zoom proposes


class Remix(commands.Cog):
    """Ask for other words, and make what a button makes with them."""

    def __init__(
        self, client: Client, jobs: JobService, prompt_modals: PromptModals, image_actions: ImageActions
    ) -> None:
        self.jobs = jobs
        self.services = client.services
        image_actions.open_remix_modal = self.open_remix_modal
        jobs.button_handlers[REMIX] = self.remix
        jobs.button_handlers[RETRY] = self.retry
        jobs.button_handlers[Action.ZOOM_CUSTOM] = self.zoom
        prompt_modals.handlers |= dict.fromkeys((*REMIXABLE, *BASE_ACTION, Action.ZOOM_CUSTOM), self.on_edited_prompt)

    async def remix(self, interaction: Interaction, tile: Tile) -> None:
        """Open the form of a remix; of other noise where the model cannot start from the picture."""
        params = (await self.jobs.require_parent(tile)).params
        model = self.services.registry.find(params.model)
        is_reroll = model is not None and Action.REMIX_STRONG not in actions.available_actions(params, model)
        await self._open(interaction, Action.REROLL if is_reroll else Action.REMIX_STRONG, tile)

    async def retry(self, interaction: Interaction, tile: Tile) -> None:
        """Open the form of a job that failed: it is asked for once more, with other words perhaps."""
        record = await self.services.store.get(tile.job_id)
        if record is None:
            raise UserError("I do not know this job any more: copy the prompt, and use `/imagine`.")
        if record.job.requester.id != interaction.user.id:
            whom = f"<@{record.job.requester.id}>"
            raise UserError(f"Only {whom} can ask for this again: copy the prompt, and use `/imagine`.")
        await self._open(interaction, Action.REROLL, tile)

    async def zoom(self, interaction: Interaction, tile: Tile) -> None:
        """Open the form of a zoom by another factor, or into another shape."""
        await self._open(interaction, Action.ZOOM_CUSTOM, tile)

    async def open_remix_modal(self, interaction: Interaction, action: Action, parent: Job, tile: Tile) -> bool:
        """Open the form with the prompt of the picture that a button belongs to; False where it is too long for one."""
        text = initial_prompt(action, parent.params, self.services.registry)
        if len(text) > MAX_TEXT_LENGTH:
            return False
        await open_prompt_modal(interaction, PromptTarget(action, tile), text)
        return True

    async def _open(self, interaction: Interaction, action: Action, tile: Tile) -> None:
        if not await self.open_remix_modal(interaction, action, await self._require_parent(action, tile), tile):
            raise UserError(f"This prompt has more than the {MAX_TEXT_LENGTH} characters that fit into a form.")

    async def on_edited_prompt(self, interaction: Interaction, target: PromptTarget, values: ModalValues) -> None:
        """Make what was asked for with the words of a form, or give them back."""
        text = values.texts[PROMPT]
        target = replace(target, action=Action(values.selected.get(STRENGTH_FIELD, target.action)))
        try:
            await self._submit(interaction, target, text)
        except Exception as error:
            await reject_prompt(interaction, error, target, text)

    async def _submit(self, interaction: Interaction, target: PromptTarget, text: str) -> None:
        tile, action, registry = target.tile, target.action, self.services.registry
        assert tile is not None
        parent = await self._require_parent(action, tile)
        pressed = f"{action}:{tile}"
        if (
            " ".join(text.split()) == initial_prompt(action, parent.params, registry)
            and action is not Action.ZOOM_CUSTOM
        ):
            action = BASE_ACTION.get(action, action)
            params = params_for(action, parent.params, tile, registry.resolve(parent.params), actions.new_seed())
            await self.jobs.submit(interaction, action, params, tile, pressed=pressed)
            return
        request = await self.parse(interaction, text, parent.params, zooming=action is Action.ZOOM_CUSTOM)
        model = registry.resolve(request.params)
        before = actions.rescaled_for(parent.params, model, registry.find(parent.params.model))
        if action is Action.ZOOM_CUSTOM:
            factor = DEFAULT_ZOOM if request.zoom is None else request.zoom
            child = actions.zoom_out(before, tile, model, request.params.seed, factor, request.aspect)
            params = actions.with_prompt_of(child, request.params)
        else:
            action = REMIX_ACTION.get(action, action)
            params = remix_params(action, before, request.params, tile, model)
        await self.jobs.submit(
            interaction, action, params, tile, speed=request.speed, private=request.private, pressed=pressed
        )

    async def _require_parent(self, action: Action, tile: Tile) -> Job:
        """Give the job that a form is about: one that failed left no picture, and needs none to be drawn again."""
        record = await self.services.store.get(tile.job_id)
        failed = record is not None and record.state is JobState.FAILED
        return record.job if record and failed and action is Action.REROLL else await self.jobs.require_parent(tile)

    async def parse(
        self, interaction: Interaction, text: str, parent: Params, *, zooming: bool = False
    ) -> PromptRequest:
        """Read edited words: everything that counts stands there, so that what the person prefers is not added."""
        options = await self.services.preferences.options(interaction.user.id)
        image_count = 1 + len(parent.blended) if isinstance(parent.source, Upload) else 0
        if not any(part.text for part in parent.parts):
            image_count = max(image_count, 2)  # it comes from a blend, which needs no words
        registry = self.services.registry
        defaults = (default_model_parameter(await self.services.policy.settings(interaction.guild_id), registry),)
        request = parse_prompt(
            text, registry, attached=image_count, defaults=defaults, options=options, allow_zoom=zooming
        )
        faults = ["Links to pictures cannot be used here: the picture is where it starts"] if request.links else []
        faults += ["`--repeat` cannot be used here"] if request.repeat > 1 else []
        if faults:
            raise PromptError(*faults)
        return request


def initial_prompt(action: Action, parent: Params, registry: ModelRegistry) -> str:
    """Give the prompt that a form begins with: without its shape where the button decides on that."""
    if action is not Action.REROLL:
        parent = actions.with_distinct_seeds(parent)
    model = registry.find(parent.model) or registry.default
    panorama = max(parent.aspect) > model.max_aspect * min(parent.aspect)
    if action is Action.ZOOM_CUSTOM:
        shape = "" if panorama else f" --ar {parent.aspect[0]}:{parent.aspect[1]}"
        return f"{format_prompt(replace(parent, aspect=(1, 1)), registry)}{shape} --zoom {DEFAULT_ZOOM:g}".strip()
    if panorama or action not in (Action.REROLL, *REMIX_ACTION, *BASE_ACTION):
        parent = replace(parent, aspect=(1, 1))
    return format_prompt(parent, registry)


def remix_params(action: Action, parent: Params, edited: Params, tile: Tile, model: Model) -> Params:
    """Give what a button asks for with the words of an edited prompt."""
    if action is Action.REROLL:
        if isinstance(parent.source, Tile):
            return actions.with_prompt_of(parent, edited)
        return replace(edited, source=parent.source, blended=parent.blended)
    if action not in BASE_ACTION:
        return actions.with_prompt_of(params_for(action, parent, tile, model, edited.seed), edited)
    if max(parent.aspect) > model.max_aspect * min(parent.aspect):
        edited = replace(edited, aspect=parent.aspect, width=parent.width, height=parent.height)
    return replace(ACTION_PARAMS[BASE_ACTION[action]](edited, tile, model, edited.seed), same_seed=edited.same_seed)


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this, after the road's, the prompts' and the buttons'."""
    await client.add_cog(Remix(client, get_job_service(client), get_prompt_modals(client), get_image_actions(client)))
