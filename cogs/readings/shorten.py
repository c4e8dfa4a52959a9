"""/shorten: which words of a prompt matter, and shorter prompts."""

from __future__ import annotations

from dataclasses import replace

from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.ui.i18n import tr
from bot.ui.modals import ModalValues, modals
from cogs.prompt_modal import PROMPT, PromptTarget, reject_prompt
from generation.job import Action
from generation.params import ReadingKind
from generation.prompt import PromptError, PromptRequest


class Shorten(commands.Cog):
    """Weigh the words of a prompt."""

    @app_commands.command(description="Which words of a prompt matter, and shorter prompts to draw")
    @app_commands.describe(prompt="The prompt to shorten, with its parameters")
    async def shorten(self, interaction: Interaction, prompt: app_commands.Range[str, 1, 6000]) -> None:
        await shorten_prompt(interaction, prompt)


@modals.route(f"{PROMPT}:{Action.SHORTEN}")
async def on_edited_prompt(interaction: Interaction, _: str, values: ModalValues) -> None:
    """Shorten a prompt that was refused before."""
    await shorten_prompt(interaction, values.texts[PROMPT])


async def shorten_prompt(interaction: Interaction, prompt: str) -> None:
    """Submit the job that shortens a prompt, or return the prompt with what is wrong with it."""
    try:
        request = await _parse(interaction, prompt)
        params = replace(request.params, reading=ReadingKind.SHORTEN, count=0)
        await interaction.client.jobs.submit(
            interaction, Action.SHORTEN, params, speed=request.speed, private=request.private
        )
    except Exception as error:
        await reject_prompt(interaction, error, PromptTarget(Action.SHORTEN), prompt)


async def _parse(interaction: Interaction, prompt: str) -> PromptRequest:
    """Return the request of a prompt; raise UserError for several, and for one with pictures."""
    requests = await interaction.client.prompts.parse(interaction, prompt, with_image=False, ignored=("repeat",))
    if len(requests) > 1:
        raise PromptError(tr("One prompt can be shortened at a time: leave out choices in braces and `--repeat`"))
    (request,) = requests
    if request.has_links:
        raise PromptError(tr("Only words can be shortened: leave out the links to pictures"))
    if any(part.edited for part in request.params.parts):
        raise PromptError(tr("Only words that stay the same can be shortened: leave out `[…:…:…]`"))
    (params,) = await interaction.client.prompts.resolve_images(interaction, requests, None)
    return replace(request, params=params)


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this."""
    await client.add_cog(Shorten())
