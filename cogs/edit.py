"""/edit: a picture changed as words say, by a model that was made for it."""

from __future__ import annotations

import logging

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.jobs.prompt_defaults import load_prompt_defaults
from bot.jobs.requests import left_out_note
from bot.policy.context import context_from
from bot.services import Services
from bot.ui.errors import respond_ephemeral
from bot.ui.i18n import tr
from bot.ui.job_views import edit_words_button
from bot.ui.modals import ModalValues, modals
from cogs.autocomplete import available_models
from cogs.imagine import submit_prompt
from cogs.prompt_modal import PROMPT, PromptTarget, reject_prompt
from generation.errors import UserError
from generation.job import Action
from generation.models.capabilities import Capability
from generation.params import ImageRef, Tile, Upload
from generation.planning import actions
from generation.prompt import PromptError, model_parameter, sets_field, with_parameter

log = logging.getLogger(__name__)


class Edit(commands.Cog):
    """Change pictures as words say."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @app_commands.command(description="Change a picture as your words say")
    @app_commands.describe(
        instruction="What to change, such as: make it winter. --iw 0 to 3 keeps less or more of the picture",
        picture="The picture to change; or begin the instruction with a link to one",
    )
    async def edit(
        self,
        interaction: Interaction,
        instruction: app_commands.Range[str, 1, 6000],
        picture: discord.Attachment | None = None,
    ) -> None:
        await submit_edit(interaction, instruction, picture)


@modals.route(f"{PROMPT}:{Action.EDIT}")
async def on_edited_instruction(interaction: Interaction, rest: str, values: ModalValues) -> None:
    """Submit an instruction that was refused before, with its picture."""
    target = PromptTarget.parse(rest)
    picture = target.tile or (Upload(target.payload) if target.payload else None)
    await submit_edit(interaction, values.texts[PROMPT], picture)


async def submit_edit(
    interaction: Interaction, instruction: str, picture: discord.Attachment | ImageRef | None
) -> None:
    """Submit the job that changes a picture, or return the instruction with what is wrong with it."""
    tile = picture if isinstance(picture, Tile) else None
    payload = picture.digest if isinstance(picture, Upload) else ""
    try:
        typed = await _with_editor(interaction, instruction)
        if isinstance(picture, Tile):
            await _submit_tile(interaction, typed, picture)
        else:
            await submit_prompt(interaction, typed, picture, action=Action.EDIT)
    except Exception as error:
        if isinstance(picture, discord.Attachment):
            payload = await _kept(interaction, instruction, picture)
        buttons = await _other_ways(interaction, tile)
        await reject_prompt(interaction, error, PromptTarget(Action.EDIT, tile, payload), instruction, *buttons)


async def _with_editor(interaction: Interaction, instruction: str) -> str:
    """Return an instruction with the first model for edits that the server allows.

    It stays as it is if it names a model, or if the usual model is one for edits.
    """
    services = interaction.client.services
    editors = services.registry.with_capability(Capability.EDIT)
    if not editors:
        raise UserError(
            tr(
                "No model here changes pictures as words say. Whoever runs this bot can add one to `MODEL`: "
                "InstructPix2Pix, or SDXL InstructPix2Pix. "
                "Pictures that I drew have a button *Edit words*, which needs none."
            )
        )
    usual = (await load_prompt_defaults(services, interaction)).model
    if usual in editors or sets_field(instruction, "model"):
        return instruction
    allowed = [model for model in await available_models(services, interaction.guild_id) if model in editors]
    return with_parameter(instruction, model_parameter((allowed or editors)[0].name))  # else the policy says why not


async def _kept(interaction: Interaction, instruction: str, picture: discord.Attachment) -> str:
    """Return the digest of an attached picture, stored for *Edit and retry*; empty if it cannot be stored."""
    client, target = interaction.client, str(PromptTarget(Action.EDIT))
    try:
        await client.services.policy.check_access(context_from(interaction))
        async with client.deferrals.deferred_if_slow(interaction, ephemeral=True, target=target, prompt=instruction):
            return (await client.services.images.uploads.import_attachment(picture)).digest
    except Exception as error:  # the instruction is returned whatever happens
        log.info("a picture could not be kept: %s", error)
        return ""


async def _submit_tile(interaction: Interaction, instruction: str, tile: Tile) -> None:
    """Submit the job that changes a picture that the bot drew."""
    client = interaction.client
    await client.jobs.require_parent(tile)
    requests = await client.prompts.parse(interaction, instruction, with_image=True, ignored=("repeat",))
    if len(requests) != 1 or requests[0].has_links:
        raise PromptError(tr("One edit of one picture: leave out links, choices in braces and `--repeat`."))
    client.prompts.require_edits(requests)
    (params,), (request,) = await client.prompts.resolve_images(interaction, requests, tile), requests
    await client.jobs.submit(interaction, Action.EDIT, params, tile, speed=request.speed, private=request.private)
    if request.left_out:
        await respond_ephemeral(interaction, left_out_note(request.left_out))


async def _other_ways(interaction: Interaction, tile: Tile | None) -> list[discord.ui.Button[discord.ui.View]]:
    """Return the button that changes a picture without a model for edits, if there is no such model."""
    services = interaction.client.services
    record = await services.db.jobs.get(tile.job_id) if tile else None
    model = services.registry.find(record.job.params.model) if record else None
    if tile is None or record is None or model is None or services.registry.with_capability(Capability.EDIT):
        return []
    available = actions.available_actions(record.job.params, model)
    return [edit_words_button(tile)] if Action.EDIT_WORDS in available else []


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this."""
    await client.add_cog(Edit(client.services))
