"""Parse prompts into requests for jobs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

import discord

from bot.jobs.describing import shape_of
from bot.jobs.destination import is_private
from bot.jobs.prompt_defaults import load_prompt_defaults
from bot.jobs.styles import StyleReferences
from bot.services import Services
from bot.ui.i18n import tr
from generation.job import Action
from generation.models.capabilities import Capability
from generation.params import ImageRef, Params
from generation.planning.colouring import has_words
from generation.planning.shapes import in_shape
from generation.prompt import PromptError, PromptRequest, TooManyPermutations, convert_infotext, permute
from generation.prompt.errors import quote, unsupported


class PromptReader:
    """Parse prompts with the defaults of their user, and import the images they link to."""

    def __init__(self, services: Services) -> None:
        self._services, self.styles = services, StyleReferences(services)

    async def parse(
        self,
        interaction: discord.Interaction[Any],
        prompt: str,
        *,
        with_image: bool,
        ignored: Collection[str] = (),
    ) -> list[PromptRequest]:
        """Return one request per job; raise UserError with all problems.

        The user's and the server's defaults do not set the fields that are `ignored`.
        """
        return await self.parse_all(interaction, [prompt], with_image=with_image, ignored=ignored)

    async def parse_all(
        self,
        interaction: discord.Interaction[Any],
        prompts: Iterable[str],
        *,
        with_image: bool = False,
        ignored: Collection[str] = (),
    ) -> list[PromptRequest]:
        """Return the requests of several prompts, one per job; raise UserError with all problems."""
        defaults = await load_prompt_defaults(self._services, interaction)
        limit = (await self._services.policy.settings(interaction.guild_id)).permutations
        requests: list[PromptRequest] = []
        problems: list[str] = []
        for prompt in prompts:
            typed, left_out = convert_infotext(prompt, self._services.registry)
            for text in permute(typed, limit):
                try:
                    request = defaults.parse(text, attached=int(with_image), ignored=ignored)
                    requests += replace(request, left_out=left_out).expand_repeats()
                except PromptError as error:
                    problems += error.problems
        if problems:
            raise PromptError(*dict.fromkeys(problems))
        if len(requests) > limit:
            raise TooManyPermutations(
                tr(
                    "This makes {number} jobs, and at most {most} are allowed at once.",
                    number=f"{len(requests):,}",
                    most=f"{limit:,}",
                )
            )
        return requests

    async def resolve_images(
        self, interaction: discord.Interaction[Any], requests: list[PromptRequest], image: ImageRef | None
    ) -> list[Params]:
        """Import each linked image once and return the requests' Params, with the pictures of their styles.

        `image` was attached to the command. An edit gets the shape of its picture, unless another one was typed.
        """
        attached = [image] if image else []
        uploads = self._services.images.uploads
        all_links = {request.links for request in requests}
        linked = {links: await uploads.import_links(links, interaction.user.id) for links in all_links}
        all_params = [
            await self._in_shape(request, request.with_images([*attached, *linked[request.links]]))
            for request in requests
        ]
        preferred = await self._services.db.preferences.get(interaction.user.id)
        return [
            await self.styles.resolve(interaction, params, private=is_private(interaction, request.private, preferred))
            for params, request in zip(all_params, requests, strict=True)
        ]

    async def _in_shape(self, request: PromptRequest, params: Params) -> Params:
        if params.original is None or request.aspect is not None:
            return params
        model = self._services.registry.resolve(params)
        return in_shape(params, await shape_of(self._services, params.original, model), model)

    def require_edits(self, requests: Iterable[PromptRequest]) -> None:
        """Raise PromptError if one of the requests is for a model that does not change pictures as words say."""
        for request in requests:
            if request.params.original is None:
                model = self._services.registry.resolve(request.params)
                raise PromptError(unsupported("`/edit`", model, Capability.EDIT))


def left_out_note(names: tuple[str, ...]) -> str:
    """Return the note for the settings of pasted infotext that are not used."""
    return tr("These settings of the pasted text are not used here: {names}.", names=", ".join(map(quote, names)))


def infer_action(params: Params) -> Action:
    """Return EDIT for a picture that words change, BLEND for images alone, IMAGINE for all other prompts."""
    if params.original is not None:
        return Action.EDIT
    return Action.IMAGINE if params.mix or params.colourise or has_words(params) else Action.BLEND
