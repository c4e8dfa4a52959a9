"""Read the prompts that people type into requests for jobs."""

from __future__ import annotations

from typing import Any

import discord

from bot.jobs.prompt_defaults import load_prompt_defaults
from bot.services import Services
from generation.job import Action
from generation.params import Params, Upload
from generation.prompt import PromptError, PromptRequest, TooManyPermutations, permute


class PromptReader:
    """Parse prompts with the defaults of who typed them, and import the images they name."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def parse(
        self, interaction: discord.Interaction[Any], prompt: str, *, with_image: bool
    ) -> list[PromptRequest]:
        """Return one request a job; raise UserError with everything that is wrong."""
        defaults = await load_prompt_defaults(self._services, interaction)
        limit = (await self._services.policy.settings(interaction.guild_id)).permutations
        requests: list[PromptRequest] = []
        problems: list[str] = []
        for text in permute(prompt, limit):
            try:
                requests += defaults.parse(text, attached=int(with_image)).expand_repeats()
            except PromptError as error:
                problems += error.problems
        if problems:
            raise PromptError(*dict.fromkeys(problems))
        if len(requests) > limit:
            raise TooManyPermutations(f"This makes {len(requests):,} jobs, and at most {limit:,} are allowed at once.")
        return requests

    async def resolve_images(self, requests: list[PromptRequest], image: Upload | None) -> list[Params]:
        """Import what the requests link to, each link once, and return their Params; `image` came with the prompt."""
        attached = [image] if image else []
        uploads = self._services.images.uploads
        linked = {links: await uploads.import_links(links) for links in {request.links for request in requests}}
        return [request.with_images([*attached, *linked[request.links]]) for request in requests]


def infer_action(params: Params) -> Action:
    """Return IMAGINE for a prompt with text, BLEND for images alone."""
    return Action.IMAGINE if any(part.text for part in params.parts) else Action.BLEND
