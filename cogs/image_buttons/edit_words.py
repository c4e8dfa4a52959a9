"""Edit words: the same picture with other words, from the same seed and at the same size."""

from __future__ import annotations

from dataclasses import replace

from bot.client import Client, Interaction
from bot.jobs.requests import left_out_note
from bot.ui.dynamic_items import PersistentItem
from bot.ui.errors import respond_ephemeral
from bot.ui.i18n import tr
from bot.ui.modals import MAX_TEXT_LENGTH, ModalValues, modals
from cogs.image_buttons.remix import initial_prompt, parse_edited, remix_params, with_references
from cogs.prompt_modal import PROMPT, PromptTarget, open_prompt_modal, reject_prompt
from generation.errors import UserError
from generation.job import Action, Job
from generation.models.capabilities import Capability
from generation.params import TILE_PATTERN, Params, Tile
from generation.planning import actions
from generation.planning.actions import DEFAULT_KEEP
from generation.planning.holding import holds, last_words
from generation.prompt.word_edits import edit_words

# These show a picture that another job drew, larger or as it is; its words are edited as they were drawn.
COPIES = (Action.PICK, Action.UPSCALE_SUBTLE, Action.UPSCALE_CREATIVE, Action.UPSCALE_CREATIVE_4, Action.CLEAN_UP)


class EditWordsButton(PersistentItem, template=rf"{Action.EDIT_WORDS}:{TILE_PATTERN}"):
    """Opens the form with a picture's prompt."""

    async def run(self, interaction: Interaction) -> None:
        params = (await _require_drawn(interaction.client, self.tile)).params
        await open_form(interaction, self.tile, params, " --retouch" if params.retouch else " --hold")


async def open_form(interaction: Interaction, tile: Tile, params: Params, kept: str) -> None:
    """Open the form with a prompt and what of the picture is `kept`, for other words of a tile.

    A model whose words cannot change on the way keeps nothing.
    """
    registry = interaction.client.services.registry
    shown = last_words(params) if holds(params) else params
    can_keep = Capability.PROMPT_EDITS in (registry.find(params.model) or registry.default).capabilities
    text = initial_prompt(Action.REROLL, shown, registry) + (kept if can_keep else "")
    if len(text) > MAX_TEXT_LENGTH:
        raise UserError(
            tr("This prompt is too long to edit here: it has more than {most} characters.", most=MAX_TEXT_LENGTH)
        )
    await open_prompt_modal(interaction, PromptTarget(Action.EDIT_WORDS, tile), text)


@modals.route(f"{PROMPT}:{Action.EDIT_WORDS}")
async def on_edited_words(interaction: Interaction, rest: str, values: ModalValues) -> None:
    """Submit the job with other words, or return them with what is wrong with them."""
    text, target = values.texts[PROMPT], PromptTarget.parse(rest)
    assert target.tile is not None, "made by open_form"
    try:
        await _submit(interaction, target.tile, text)
    except Exception as error:
        await reject_prompt(interaction, error, target, text)


async def _submit(interaction: Interaction, tile: Tile, text: str) -> None:
    client = interaction.client
    drawn = await _require_drawn(client, tile)
    forms = ["keep", *([] if drawn.params.source is None else ["colour"])]
    request = await parse_edited(interaction, text, drawn.params, forms=forms, seed=drawn.params.seed)
    request = await with_references(interaction, request, drawn)
    model = client.services.registry.resolve(request.params)
    before = actions.rescaled_for(drawn.params, model, client.services.registry.find(drawn.params.model))
    edited = remix_params(Action.REROLL, before, request.params, tile, model)
    if request.aspect in (None, before.aspect) and edited.draft == before.draft:
        edited = replace(edited, aspect=before.aspect, width=before.width, height=before.height)
    can_keep = Capability.PROMPT_EDITS in model.capabilities
    default = DEFAULT_KEEP if can_keep and not (request.params.hold or request.params.retouch) else 0
    keep = default if request.keep is None else request.keep
    params = replace(edit_words(drawn.params, edited, keep), count=1, model=model.name)
    if replace(params, model=drawn.params.model) == drawn.params:
        raise UserError(tr("This is the same picture: change its words first."))
    await client.jobs.submit(
        interaction,
        Action.EDIT_WORDS,
        params,
        tile,
        speed=request.speed,
        private=request.private,
        pressed=f"{Action.EDIT_WORDS}:{tile}",
    )
    if request.left_out:
        await respond_ephemeral(interaction, left_out_note(request.left_out))


async def _require_drawn(client: Client, tile: Tile) -> Job:
    """Return the job that drew a picture, with the params of that picture alone; raise UserError if it has no words."""
    job = await client.jobs.require_parent(tile)
    while await client.jobs.effective_action(job.action, job.parent) in COPIES and isinstance(job.params.source, Tile):
        tile = job.params.source
        record = await client.services.db.jobs.get(tile.job_id)
        if record is None:
            raise UserError(tr("I no longer know how this picture was drawn."))
        job = record.job
    model = client.services.registry.resolve(job.params)
    is_canvas = job.action is Action.PICK
    if is_canvas or Action.EDIT_WORDS not in actions.available_actions(job.params, model):
        raise UserError(tr("This cannot be done with this picture."))
    return replace(job, params=actions.alone(job.params, tile))


async def setup(client: Client) -> None:
    """Add the button; discord.py calls this."""
    client.add_dynamic_items(EditWordsButton)
