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
from cogs.choosing import LONGEST_CHOICE, autocompletion, lora_choices
from cogs.prompting import PROMPT, Prompting, Purpose, prompting_of, refuse
from cogs.road import Interaction, Road, road_of
from cogs.several import action_of, ask_whether
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

    def __init__(self, client: Client, road: Road, prompting: Prompting) -> None:
        self.road = road
        self.studio = client.services
        self.taking_in = client.uploads
        prompting.takers[Action.IMAGINE] = self.edited

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
        model: app_commands.Range[str, 1, LONGEST_CHOICE] | None = None,
        lora: app_commands.Range[str, 1, LONGEST_CHOICE] | None = None,
    ) -> None:
        if model:
            prompt = with_parameter(prompt, model_parameter(model))
        if lora:
            prompt = with_parameter(prompt, lora_parameter(lora))
        await self.enter(interaction, prompt, image)

    @imagine.autocomplete("model")
    async def _models(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return await autocompletion(self.studio, interaction.guild_id, typed)

    @imagine.autocomplete("lora")
    async def _loras(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        meant = self.studio.registry.match(interaction.namespace.model or "")
        model = meant[0] if meant else (await load_prompt_defaults(self.studio, interaction)).model
        return lora_choices(self.studio, model, typed)

    async def edited(self, interaction: Interaction, purpose: Purpose, filled: ModalValues) -> None:
        """Take a prompt that was refused before, with the picture that came with it."""
        await self.enter(interaction, filled.texts[PROMPT], Upload(purpose.besides) if purpose.besides else None)

    async def enter(self, interaction: Interaction, prompt: str, image: Image) -> None:
        """Have drawn what a prompt says, after a question where that is several jobs; or give the prompt back."""
        try:
            wishes: list[PromptRequest] | UserError = await self.read(
                interaction, prompt, with_picture=image is not None
            )
        except UserError as complaint:
            wishes = complaint
        try:
            await self._gain_time(interaction, wishes, image)
            if isinstance(image, discord.Attachment):
                image = await self.taking_in.import_attachment(image)
            if isinstance(wishes, UserError):
                raise wishes
            if len(wishes) > 1:
                await ask_whether(interaction, _purpose(image), prompt, wishes)
                return
            (params,), (wish,) = await self.with_pictures(wishes, image), wishes
            await self.road.ask(interaction, action_of(params), params, speed=wish.speed, private=wish.private)
        except Exception as error:
            await refuse(interaction, error, _purpose(image), prompt)

    async def read(self, interaction: Interaction, prompt: str, *, with_picture: bool) -> list[PromptRequest]:
        """Read a prompt with what the person has settled, one wish a job; raises Complaint with all that is wrong."""
        habits = await load_prompt_defaults(self.studio, interaction)
        most = (await self.studio.policy.settings(interaction.guild_id)).permutations
        wishes: list[PromptRequest] = []
        faults: list[str] = []

        for text in permute(prompt, most):
            try:
                wishes += habits.parse(text, attached=int(with_picture)).expand_repeats()
            except PromptError as wrong:
                faults += wrong.problems
        if faults:
            raise PromptError(*dict.fromkeys(faults))
        if len(wishes) > most:
            raise TooManyPermutations(f"This makes {len(wishes):,} jobs, and at most {most:,} are allowed at once.")
        return wishes

    async def with_pictures(self, wishes: list[PromptRequest], image: Upload | None) -> list[Params]:
        """Fetch what wishes link to, once each, and give what is to be drawn; `image` came with the prompt."""
        attached = [image] if image else []
        linked = {links: await self.taking_in.import_links(links) for links in {wish.links for wish in wishes}}
        return [wish.with_images([*attached, *linked[wish.links]]) for wish in wishes]

    async def _gain_time(self, interaction: Interaction, wishes: list[PromptRequest] | UserError, image: Image) -> None:
        """Answer at once that it takes a while, where something has to be fetched."""
        alone = wishes[0] if isinstance(wishes, list) and len(wishes) == 1 else None
        if not isinstance(image, discord.Attachment) and not (alone and alone.links):
            return
        await self.studio.policy.check_access(context_from(interaction))
        if alone:
            self.studio.queue.check_limits(interaction.user.id)
        preferred = await self.studio.preferences.get(interaction.user.id)
        private = alone is None or is_private(interaction, alone.private, preferred)
        await interaction.response.defer(thinking=True, ephemeral=private)


def _purpose(image: Image) -> Purpose:
    return Purpose(Action.IMAGINE, besides=image.digest if isinstance(image, Upload) else "")


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this, after the road's and the prompts'."""
    await client.add_cog(Imagine(client, road_of(client), prompting_of(client)))
