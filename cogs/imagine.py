"""/imagine: four images from a text prompt, and optionally from images."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext, suppress

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.jobs.destination import is_private
from bot.jobs.prompt_defaults import load_prompt_defaults
from bot.jobs.requests import infer_action, left_out_note
from bot.policy.context import context_from
from bot.services import Services
from bot.ui.dynamic_items import PersistentItem
from bot.ui.errors import respond_ephemeral
from bot.ui.i18n import tr
from bot.ui.job_views import BLUE
from bot.ui.modals import ModalValues, modals
from bot.ui.prompt_block import extract_prompt
from bot.ui.text import truncate
from cogs.autocomplete import MAX_CHOICE_LENGTH, complete_control, complete_lora, complete_model
from cogs.batch import confirm_batch
from cogs.prompt_modal import PROMPT, TARGET_PATTERN, PromptTarget, reject_prompt
from cogs.references import NO_REFERENCES, References
from generation.errors import UserError
from generation.job import Action
from generation.models.model import Model
from generation.params import Upload
from generation.prompt import (
    PromptError,
    PromptRequest,
    control_parameter,
    lora_parameter,
    model_parameter,
    with_parameter,
    without_model,
)

MAX_REPAIRED_LENGTH = 2000  # characters
MAX_MODEL_LENGTH = 60  # characters of a name on a button
Image = discord.Attachment | Upload | None


class Imagine(commands.Cog):
    """Submit jobs from typed prompts."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @app_commands.command(description="Draw four pictures from your words")
    @app_commands.describe(
        prompt="What to draw, then parameters such as --ar 3:2 --seed 7 --no clouds",
        image="A picture to start from",
        model="The model to draw with, the same as --model in the prompt",
        lora="A LoRA such as ink:0.8, the same as --lora in the prompt",
        style="A picture whose style is taken over, the same as --sref in the prompt",
        character="A picture whose character is drawn, the same as a link after --cref",
        control="A picture whose edges, depth or pose are taken over by a ControlNet",
        controlnet="The ControlNet that reads it, such as canny:0.8, the same as --control in the prompt",
    )
    async def imagine(
        self,
        interaction: Interaction,
        prompt: app_commands.Range[str, 1, 6000],
        image: discord.Attachment | None = None,
        model: app_commands.Range[str, 1, MAX_CHOICE_LENGTH] | None = None,
        lora: app_commands.Range[str, 1, MAX_CHOICE_LENGTH] | None = None,
        style: discord.Attachment | None = None,
        control: discord.Attachment | None = None,
        controlnet: app_commands.Range[str, 1, MAX_CHOICE_LENGTH] | None = None,
        character: discord.Attachment | None = None,
    ) -> None:
        if model:
            prompt = with_parameter(prompt, model_parameter(model))
        if lora:
            prompt = with_parameter(prompt, lora_parameter(lora))
        if controlnet:
            prompt = with_parameter(prompt, control_parameter(controlnet))
        await submit_prompt(interaction, prompt, image, References(style, control, character))

    @imagine.autocomplete("model")
    async def _complete_model(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return await complete_model(self.services, interaction.guild_id, typed)

    @imagine.autocomplete("lora")
    async def _complete_lora(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return complete_lora(self.services, await self._model(interaction), typed)

    @imagine.autocomplete("controlnet")
    async def _complete_control(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return complete_control(self.services, await self._model(interaction), typed)

    async def _model(self, interaction: Interaction) -> Model:
        """Return the model that the command names so far, else the usual one."""
        matches = self.services.registry.match(interaction.namespace.model or "")
        return matches[0] if matches else (await load_prompt_defaults(self.services, interaction)).model


@modals.route(f"prompt:{Action.IMAGINE}")
async def on_edited_prompt(interaction: Interaction, rest: str, values: ModalValues) -> None:
    """Submit a prompt that was refused before, with its uploaded image."""
    target = PromptTarget.parse(rest)
    await submit_prompt(interaction, values.texts[PROMPT], Upload(target.payload) if target.payload else None)


async def submit_prompt(
    interaction: Interaction,
    prompt: str,
    image: Image,
    references: References = NO_REFERENCES,
    *,
    action: Action = Action.IMAGINE,
) -> None:
    """Submit the job of a prompt; ask first if there are several, and return an invalid prompt with its errors.

    The `references` become parameters of it. With the `action` EDIT, its model must be one that changes pictures.
    """
    client = interaction.client
    try:
        requests = await _read(interaction, references.placed_in(prompt), image, action)
        target = _prompt_target(image, action)
        async with await _deferred_if_slow(interaction, requests, image, references, target, prompt):
            if isinstance(image, discord.Attachment):
                image = await client.services.images.uploads.import_attachment(image)
            if references:
                prompt = await references.stored_in(interaction, prompt, requests)
                requests = await _read(interaction, prompt, image, action)
            if isinstance(requests, UserError):
                raise requests
            several = len(requests) > 1
            all_params = [] if several else await client.prompts.resolve_images(interaction, requests, image)
        if several:
            await confirm_batch(interaction, _prompt_target(image, action), prompt, requests)
            return
        (params,), (request,) = all_params, requests
        await client.jobs.submit(
            interaction, infer_action(params), params, speed=request.speed, private=request.private
        )
        if request.left_out:
            await respond_ephemeral(interaction, left_out_note(request.left_out))
    except Exception as error:
        target = _prompt_target(image, action)
        is_drawing = isinstance(error, PromptError) and action is Action.IMAGINE
        buttons = await _default_model_buttons(interaction, target, prompt) if is_drawing else []
        await reject_prompt(interaction, error, target, prompt, *buttons)


async def _read(interaction: Interaction, prompt: str, image: Image, action: Action) -> list[PromptRequest] | UserError:
    """Return what was read of a prompt, or what is wrong with it."""
    prompts = interaction.client.prompts
    try:
        requests = await prompts.parse(interaction, prompt, with_image=image is not None)
        if action is Action.EDIT:
            prompts.require_edits(requests)
        return requests
    except UserError as error:
        return error


class DefaultModelButton(PersistentItem, template=rf"default_model:{TARGET_PATTERN}"):
    """Draw with …: submits the prompt in the message without the model that it asked for."""

    async def run(self, interaction: Interaction) -> None:
        assert interaction.message is not None
        target = PromptTarget.from_match(self.match)
        prompt = without_model(await extract_prompt(interaction.message))
        await submit_prompt(interaction, prompt, Upload(target.payload) if target.payload else None)


async def _default_model_buttons(
    interaction: Interaction, target: PromptTarget, prompt: str
) -> list[discord.ui.Button[discord.ui.View]]:
    """Return the button that draws with the usual model, if only the model is wrong with a prompt."""
    if len(prompt) > MAX_REPAIRED_LENGTH:  # reading it twice more would take long
        return []
    with suppress(UserError):
        if (other := without_model(prompt)) != prompt:
            await interaction.client.prompts.parse(interaction, other, with_image=bool(target.payload))
            model = (await load_prompt_defaults(interaction.client.services, interaction)).model
            label = tr("Draw with {model}", model=truncate(model.name, MAX_MODEL_LENGTH))
            return [discord.ui.Button(label=label, custom_id=f"default_model:{target}", style=BLUE)]
    return []


async def _deferred_if_slow(
    interaction: Interaction,
    requests: list[PromptRequest] | UserError,
    image: Image,
    references: References,
    target: PromptTarget,
    prompt: str,
) -> AbstractAsyncContextManager[None]:
    """Return a context that defers the response if images have to be downloaded and that takes long."""
    single = requests[0] if isinstance(requests, list) and len(requests) == 1 else None
    has_links = single is not None and single.has_links
    if not isinstance(image, discord.Attachment) and not references.attached and not has_links:
        return nullcontext()
    services = interaction.client.services
    await services.policy.check_access(context_from(interaction))
    if single:
        services.queue.check_limits(interaction.user.id)
    preferred = await services.db.preferences.get(interaction.user.id)
    return interaction.client.deferrals.deferred_if_slow(
        interaction,
        ephemeral=single is None or is_private(interaction, single.private, preferred),
        target=str(target),
        prompt=prompt,
    )


def _prompt_target(image: Image, action: Action) -> PromptTarget:
    return PromptTarget(action, payload=image.digest if isinstance(image, Upload) else "")


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this."""
    await client.add_cog(Imagine(client.services))
    client.add_dynamic_items(DefaultModelButton)
