"""Remix: edit a button's prompt in a modal before the job is submitted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from bot.client import Client, Interaction
from bot.jobs.destination import is_private
from bot.jobs.prompt_defaults import default_model_parameter
from bot.jobs.requests import left_out_note
from bot.ui.dynamic_items import PersistentItem
from bot.ui.errors import respond_ephemeral
from bot.ui.i18n import tr
from bot.ui.job_views import REMIX
from bot.ui.modals import MAX_TEXT_LENGTH, ModalValues, modals
from cogs.image_buttons.action_params import ACTION_PARAMS, params_for
from cogs.prompt_modal import PROMPT, STRENGTH_FIELD, PromptTarget, open_prompt_modal, reject_prompt
from db.jobs import JobState
from db.styles import PURPOSES
from generation.errors import UserError
from generation.job import Action, Job
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import TILE_PATTERN, ImageRef, Params, Tile, Upload
from generation.planning import actions
from generation.planning.colouring import colourised, has_words
from generation.planning.film_pictures import finished_picture
from generation.prompt import PENDING_IMAGE, PromptError, PromptRequest, format_prompt, parse_prompt

REMIX_ACTION = {Action.VARY_SUBTLE: Action.REMIX_SUBTLE, Action.VARY_STRONG: Action.REMIX_STRONG}
BASE_ACTION = {remix: base for base, remix in REMIX_ACTION.items()}
DEFAULT_ZOOM = 2.0  # proposed by Custom Zoom


class RemixButton(PersistentItem, template=rf"{REMIX}:{TILE_PATTERN}"):
    """Opens the remix modal."""

    async def run(self, interaction: Interaction) -> None:
        await remix_tile(interaction, self.tile)


class CustomZoomButton(PersistentItem, template=rf"{Action.ZOOM_CUSTOM}:{TILE_PATTERN}"):
    """Opens the modal of a zoom by another factor, or into another aspect ratio."""

    async def run(self, interaction: Interaction) -> None:
        await open_prompt(interaction, Action.ZOOM_CUSTOM, self.tile)


async def remix_tile(interaction: Interaction, tile: Tile) -> None:
    """Open the remix modal; the action is a reroll if the model cannot start from an image."""
    params = (await interaction.client.jobs.require_parent(tile)).params
    model = interaction.client.services.registry.find(params.model)
    is_reroll = model is not None and Action.REMIX_STRONG not in actions.available_actions(params, model)
    await open_prompt(interaction, Action.REROLL if is_reroll else Action.REMIX_STRONG, tile)


async def open_remix_modal(interaction: Interaction, action: Action, parent: Job, tile: Tile) -> bool:
    """Open the modal with the prompt of a button's image; return False if the prompt is too long for it."""
    text = initial_prompt(action, parent.params, interaction.client.services.registry)
    if len(text) > MAX_TEXT_LENGTH:
        return False
    await open_prompt_modal(interaction, PromptTarget(action, tile), text)
    return True


async def open_prompt(interaction: Interaction, action: Action, tile: Tile) -> None:
    """Open the modal with the prompt of a tile, or of a job that failed; raise UserError for one that is too long."""
    parent = await _require_parent(interaction.client, action, tile)
    if not await open_remix_modal(interaction, action, parent, tile):
        raise UserError(
            tr("This prompt is too long to edit here: it has more than {most} characters.", most=MAX_TEXT_LENGTH)
        )


@modals.route(PROMPT)
async def on_edited_prompt(interaction: Interaction, rest: str, values: ModalValues) -> None:
    """Submit a button's job with an edited prompt, or return the prompt with its errors."""
    text, target = values.texts[PROMPT], PromptTarget.parse(rest)
    target = replace(target, action=Action(values.selected.get(STRENGTH_FIELD, target.action)))
    try:
        await submit_remix(interaction, target, text)
    except Exception as error:
        await reject_prompt(interaction, error, target, text)


async def submit_remix(interaction: Interaction, target: PromptTarget, text: str) -> None:
    """Submit a button's job with an edited prompt; raise UserError if it is refused."""
    client, tile, action = interaction.client, target.tile, target.action
    registry = client.services.registry
    assert tile is not None
    parent = await _require_parent(client, action, tile)
    pressed = f"{action}:{tile}"
    is_unchanged = " ".join(text.split()) == initial_prompt(action, parent.params, registry)
    if is_unchanged and action is not Action.ZOOM_CUSTOM:
        action = BASE_ACTION.get(action, action)
        params = params_for(action, parent.params, tile, registry.resolve(parent.params), actions.new_seed())
        await client.jobs.submit(interaction, action, params, tile, pressed=pressed)
        return
    request = await parse_edited(interaction, text, parent.params, forms=_form_parameters(action, parent.params))
    first_prompt = next(iter(parent.params.image_prompts), None)
    picture = tile if _is_from_tile(action) else parent.params.source or first_prompt
    request = await with_references(interaction, request, parent, picture)
    model = registry.resolve(request.params)
    before = actions.rescaled_for(parent.params, model, registry.find(parent.params.model))
    if action is Action.ZOOM_CUSTOM:
        factor = DEFAULT_ZOOM if request.zoom is None else request.zoom
        child = actions.zoom_out(before, tile, model, request.params.seed, factor, request.aspect)
        params = actions.with_prompt_of(child, request.params)
    else:
        action = REMIX_ACTION.get(action, action)
        params = remix_params(action, before, request.params, tile, model)
    await client.jobs.submit(
        interaction, action, params, tile, speed=request.speed, private=request.private, pressed=pressed
    )
    if request.left_out:
        await respond_ephemeral(interaction, left_out_note(request.left_out))


def _form_parameters(action: Action, parent: Params) -> list[str]:
    """Return the parameters that a button's form allows because it is about a picture."""
    from_picture = ["mix", "colour", "edit"] if _is_from_tile(action) or parent.source is not None else []
    return [*(["zoom"] if action is Action.ZOOM_CUSTOM else []), *from_picture]


def _is_from_tile(action: Action) -> bool:
    """Return whether a button's job starts from the picture that it is below."""
    return action in (*REMIX_ACTION, *BASE_ACTION, Action.COLOUR)


async def _require_parent(client: Client, action: Action, tile: Tile) -> Job:
    """Return the parent job of a modal; a failed one has no image, and a reroll needs none."""
    record = await client.services.db.jobs.get(tile.job_id)
    failed = record is not None and record.state is JobState.FAILED
    return record.job if record and failed and action is Action.REROLL else await client.jobs.require_parent(tile)


async def parse_edited(
    interaction: Interaction, text: str, parent: Params, *, forms: Collection[str] = (), seed: int | None = None
) -> PromptRequest:
    """Parse an edited prompt without the user's defaults, which it already contains; `seed` is for one without any."""
    services = interaction.client.services
    options = await services.db.preferences.options(interaction.user.id)
    started_from = 1 + len(parent.blended) if isinstance(parent.source, Upload) else 0
    image_count = len(parent.image_prompts) or started_from
    if parent.original is not None:
        image_count = 1
    if not parent.colourise and not has_words(parent):
        image_count = max(image_count, 2)  # a blend, which needs no text
    registry = services.registry
    defaults = (default_model_parameter(await services.policy.settings(interaction.guild_id), registry),)
    request = parse_prompt(
        text,
        registry,
        attached=image_count,
        defaults=defaults,
        options=options,
        forms=forms,
        new_seed=actions.new_seed if seed is None else lambda: seed,
        starts_from_images=not parent.image_prompts,
    )
    if request.params.image_prompts:
        request = replace(request, params=replace(request.params, image_prompts=parent.image_prompts))
    problems = [tr("Links to pictures cannot be used here: the source is this picture")] if request.links else []
    problems += [tr("`--repeat` cannot be used here")] if request.repeat > 1 else []
    if problems:
        raise PromptError(*problems)
    return request


async def with_references(
    interaction: Interaction, request: PromptRequest, parent: Job, picture: ImageRef | None = None
) -> PromptRequest:
    """Return an edited prompt with the pictures that its codes stand for: those of the parent, or others.

    A model for edits changes what the parent's changed, or else `picture`.
    """
    kept: dict[str, Any] = {
        purpose: getattr(parent.params, purpose)
        for purpose in PURPOSES
        if getattr(request.params, f"{purpose}_code") == getattr(parent.params, f"{purpose}_code")
    }
    if request.params.original is not None:
        kept["original"] = parent.params.original or picture
    params = replace(request.params, **kept)
    request = replace(request, params=params)
    if PENDING_IMAGE not in (getattr(params, purpose) for purpose in PURPOSES):
        return request
    client = interaction.client
    preferred = await client.services.db.preferences.get(interaction.user.id)
    private = is_private(interaction, request.private, preferred, parent)
    async with client.deferrals.deferred_if_slow(interaction, ephemeral=private):
        params = await client.prompts.styles.resolve(interaction, request.params, private=private)
    return replace(request, params=params)


def initial_prompt(action: Action, parent: Params, registry: ModelRegistry) -> str:
    """Return the prompt that the modal starts with; without the aspect ratio if the button sets it."""
    if action is not Action.REROLL:
        parent = replace(actions.with_distinct_seeds(finished_picture(parent)), hold=False, retouch=False, video=False)
        parent = replace(parent, source=None)  # the job starts from a tile, as strongly as the button says
    if action is Action.COLOUR:
        parent = colourised(parent)
    model = registry.find(parent.model) or registry.default
    panorama = max(parent.aspect) > model.max_aspect * min(parent.aspect)
    if action is Action.ZOOM_CUSTOM:
        shape = "" if panorama else f" --ar {parent.aspect[0]}:{parent.aspect[1]}"
        return f"{format_prompt(replace(parent, aspect=(1, 1)), registry)}{shape} --zoom {DEFAULT_ZOOM:g}".strip()
    if panorama or action not in (Action.REROLL, *REMIX_ACTION, *BASE_ACTION):
        parent = replace(parent, aspect=(1, 1))
    return format_prompt(parent, registry)


def remix_params(action: Action, parent: Params, edited: Params, tile: Tile, model: Model) -> Params:
    """Return the Params of a button's job with an edited prompt."""
    if action is Action.REROLL:
        if isinstance(parent.source, Tile):
            if not _is_variation(parent):
                return actions.with_prompt_of(parent, edited)
            return replace(_in_shape(parent, edited, model), source=parent.source, strength=parent.strength)
        if edited.original is not None or edited.image_prompts:
            return edited
        if parent.image_prompts:  # the edited prompt chose a model that starts from them
            return replace(edited, source=parent.image_prompts[0], blended=parent.image_prompts[1:])
        return replace(edited, source=parent.source or parent.original, blended=parent.blended)
    if action not in BASE_ACTION:
        return actions.with_prompt_of(params_for(action, parent, tile, model, edited.seed), edited)
    edited = _in_shape(parent, edited, model)
    child = ACTION_PARAMS[BASE_ACTION[action]](edited, tile, model, edited.seed)
    return replace(
        child,
        same_seed=edited.same_seed,
        strength=_remix_strength(parent, edited, child),
        hold=edited.hold,
        retouch=edited.retouch,
        video=edited.video,
    )


def _is_variation(params: Params) -> bool:
    """Return whether a grid was made from one picture without keeping its place or its pixels."""
    keeps_place = params.frame is not None or params.mask is not None or params.region
    return params.count > 1 and not keeps_place


def _in_shape(parent: Params, edited: Params, model: Model) -> Params:
    """Return an edited prompt in the shape of a panorama, which no prompt can ask for, if its parent is one."""
    if max(parent.aspect) <= model.max_aspect * min(parent.aspect):
        return edited
    return replace(edited, aspect=parent.aspect, width=parent.width, height=parent.height)


def _remix_strength(parent: Params, edited: Params, child: Params) -> float:
    if edited.mix and (edited.mix, edited.mix_keep) != (parent.mix, parent.mix_keep):
        return actions.MIX_STRENGTH
    if edited.retouch:
        return actions.RETOUCH_STRENGTH
    return actions.COLOUR_STRENGTH if edited.colourise and not parent.colourise else child.strength


async def setup(client: Client) -> None:
    """Add the buttons; discord.py calls this."""
    client.add_dynamic_items(RemixButton, CustomZoomButton)
