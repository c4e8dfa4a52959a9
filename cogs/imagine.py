"""/imagine: four pictures from words, and perhaps from pictures."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client
from bot.jobs.destination import is_private
from bot.jobs.prompt_defaults import load_prompt_defaults
from bot.policy.context import context_from
from bot.ui.modals import ModalValues
from cogs.autocomplete import MAX_CHOICE_LENGTH, complete_lora, complete_model
from cogs.batch import confirm_batch, infer_action
from cogs.jobs import Interaction, JobService, get_job_service
from cogs.prompt_modal import PROMPT, PromptModals, PromptTarget, get_prompt_modals, reject_prompt
from generation.errors import UserError
from generation.job import Action
from generation.params import Params, Upload
from generation.prompt import (
    PromptError,
    PromptRequest,
    TooManyPermutations,
    lora_parameter,
    model_parameter,
    permute,
    with_parameter,
)

Image = discord.Attachment | Upload | None


class Imagine(commands.Cog):
    """Draw what somebody asks for in words."""

    def __init__(self, client: Client, jobs: JobService, prompt_modals: PromptModals) -> None:
        self.jobs = jobs
        self.services = client.services
        self.uploads = client.uploads
        prompt_modals.handlers[Action.IMAGINE] = self.on_edited_prompt

    @app_commands.command(description="Draw four pictures from your words")
    @app_commands.describe(
        prompt="What to draw, then parameters such as --ar 3:2 --seed 7 --no clouds",
        image="A picture to start from",
        model="Which model draws, as --model says in a prompt",
        lora="A LoRA that changes the model, such as ink:0.8, as --lora says in a prompt",
    )
    async def imagine(
        self,
        interaction: Interaction,
        prompt: app_commands.Range[str, 1, 6000],
        image: discord.Attachment | None = None,
        model: app_commands.Range[str, 1, MAX_CHOICE_LENGTH] | None = None,
        lora: app_commands.Range[str, 1, MAX_CHOICE_LENGTH] | None = None,
    ) -> None:
        if model:
            prompt = with_parameter(prompt, model_parameter(model))
        if lora:
            prompt = with_parameter(prompt, lora_parameter(lora))
        await self.submit_prompt(interaction, prompt, image)

    @imagine.autocomplete("model")
    async def _complete_model(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return await complete_model(self.services, interaction.guild_id, typed)

    @imagine.autocomplete("lora")
    async def _complete_lora(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        matches = self.services.registry.match(interaction.namespace.model or "")
        model = matches[0] if matches else (await load_prompt_defaults(self.services, interaction)).model
        return complete_lora(self.services, model, typed)

    async def on_edited_prompt(self, interaction: Interaction, target: PromptTarget, values: ModalValues) -> None:
        """Take a prompt that was refused before, with the picture that came with it."""
        await self.submit_prompt(interaction, values.texts[PROMPT], Upload(target.payload) if target.payload else None)

    async def submit_prompt(self, interaction: Interaction, prompt: str, image: Image) -> None:
        """Have drawn what a prompt says, after a question where that is several jobs; or give the prompt back."""
        try:
            requests: list[PromptRequest] | UserError = await self.parse(
                interaction, prompt, with_image=image is not None
            )
        except UserError as user_error:
            requests = user_error
        try:
            await self._defer_if_slow(interaction, requests, image)
            if isinstance(image, discord.Attachment):
                image = await self.uploads.import_attachment(image)
            if isinstance(requests, UserError):
                raise requests
            if len(requests) > 1:
                await confirm_batch(interaction, _prompt_target(image), prompt, requests)
                return
            (params,), (request,) = await self.resolve_images(requests, image), requests
            await self.jobs.submit(
                interaction, infer_action(params), params, speed=request.speed, private=request.private
            )
        except Exception as error:
            await reject_prompt(interaction, error, _prompt_target(image), prompt)

    async def parse(self, interaction: Interaction, prompt: str, *, with_image: bool) -> list[PromptRequest]:
        """Read a prompt with what the person has settled, one wish a job; raises Complaint with all that is wrong."""
        defaults = await load_prompt_defaults(self.services, interaction)
        limit = (await self.services.policy.settings(interaction.guild_id)).permutations
        requests: list[PromptRequest] = []
        faults: list[str] = []

        for text in permute(prompt, limit):
            try:
                requests += defaults.parse(text, attached=int(with_image)).expand_repeats()
            except PromptError as error:
                faults += error.problems
        if faults:
            raise PromptError(*dict.fromkeys(faults))
        if len(requests) > limit:
            raise TooManyPermutations(f"This makes {len(requests):,} jobs, and at most {limit:,} are allowed at once.")
        return requests

    async def resolve_images(self, requests: list[PromptRequest], image: Upload | None) -> list[Params]:
        """Fetch what wishes link to, once each, and give what is to be drawn; `image` came with the prompt."""
        attached = [image] if image else []
        linked = {links: await self.uploads.import_links(links) for links in {wish.links for wish in requests}}
        return [request.with_images([*attached, *linked[request.links]]) for request in requests]

    async def _defer_if_slow(
        self, interaction: Interaction, requests: list[PromptRequest] | UserError, image: Image
    ) -> None:
        """Answer at once that it takes a while, where something has to be fetched."""
        single = requests[0] if isinstance(requests, list) and len(requests) == 1 else None
        if not isinstance(image, discord.Attachment) and not (single and single.links):
            return
        await self.services.policy.check_access(context_from(interaction))
        if single:
            self.services.queue.check_limits(interaction.user.id)
        preferred = await self.services.preferences.get(interaction.user.id)
        private = single is None or is_private(interaction, single.private, preferred)
        await interaction.response.defer(thinking=True, ephemeral=private)


def _prompt_target(image: Image) -> PromptTarget:
    return PromptTarget(Action.IMAGINE, payload=image.digest if isinstance(image, Upload) else "")


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this, after the road's and the prompts'."""
    await client.add_cog(Imagine(client, get_job_service(client), get_prompt_modals(client)))
