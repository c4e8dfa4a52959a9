"""Pictures with codes: turn what was typed after `--sref`, `--cref` and `--control` into a picture and its code."""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import replace
from typing import Any

import discord

from bot.policy.visibility import can_read_here, can_view_job
from bot.services import Services
from bot.ui.i18n import tr
from db.styles import PURPOSES, Purpose, Style
from generation.errors import UserError
from generation.params import ImageRef, Params, Tile
from generation.prompt import PENDING_IMAGE, is_link
from generation.prompt.errors import quote

RANDOM = "random"
_MIDJOURNEY_CODE = re.compile(r"\d{7,}")

Interaction = discord.Interaction[Any]


class StyleReferences:
    """Find the pictures of styles, of characters and for ControlNets, and give the new ones a code."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def resolve(self, interaction: Interaction, params: Params, *, private: bool) -> Params:
        """Return params with the pictures of their codes; raise UserError for one that cannot be used.

        A picture that a public job brings can be used by its server from now on, a `private` job's by nobody else.
        """
        for purpose in PURPOSES:
            if getattr(params, purpose) == PENDING_IMAGE:
                typed = getattr(params, f"{purpose}_code")
                image, code = await self._resolve(interaction, typed, purpose, private=private)
                found: dict[str, Any] = {purpose: image, f"{purpose}_code": code}
                params = replace(params, **found)
        return params

    async def _resolve(
        self, interaction: Interaction, typed: str, purpose: Purpose, *, private: bool
    ) -> tuple[ImageRef, str]:
        """Return the picture that was typed, and its code."""
        found = await self._find(interaction, typed, purpose)
        image = found.image if isinstance(found, Style) else found
        if isinstance(found, Style) and found.person_id != interaction.user.id:
            return image, found.code
        return image, await self.add(interaction, image, purpose, private=private)

    async def add(self, interaction: Interaction, image: ImageRef, purpose: Purpose = "style", *, private: bool) -> str:
        """Store a picture and return its code."""
        is_shared = not private and interaction.guild_id is not None and await self._is_public(image)
        place = (interaction.guild_id or 0, interaction.channel_id or 0) if is_shared else (0, 0)
        return await self._services.db.styles.add(image, interaction.user.id, *place, purpose=purpose)

    async def may_use(self, interaction: Interaction, tile: Tile) -> bool:
        """Return whether the user may take over the style of a tile, or its character, or have a ControlNet read it."""
        record = await self._services.db.jobs.get(tile.job_id)
        return record is not None and not record.deleted and can_view_job(interaction, record.job)

    async def _find(self, interaction: Interaction, typed: str, purpose: Purpose) -> Style | ImageRef:
        if is_link(typed):
            return await self._services.images.uploads.import_link(typed, interaction.user.id)
        if typed.lower() == RANDOM and purpose == "style":
            return await self._random(interaction)
        for style in await self._services.db.styles.find(typed.lower(), interaction.user.id, interaction.guild_id or 0):
            if self._is_usable(interaction, style):
                return await self._require_kept(style)
        raise UserError(_unknown(typed, purpose))

    async def _random(self, interaction: Interaction) -> Style:
        """Return one of the server's styles that this person can see; in direct messages one of their own."""
        recent = await self._services.db.styles.recent(interaction.user.id, interaction.guild_id or 0)
        usable = [style for style in recent if self._is_usable(interaction, style)]
        for style in random.sample(usable, len(usable)):
            if await self._exists(style):
                return style
        raise UserError(
            tr("There is no style here yet: use `--sref` with a link, or the `style` option, to bring the first one.")
        )

    def _is_usable(self, interaction: Interaction, style: Style) -> bool:
        return style.person_id == interaction.user.id or can_read_here(interaction, style.channel_id)

    async def _require_kept(self, style: Style) -> Style:
        if not await self._exists(style):
            raise UserError(tr("The picture {code} is not kept any more.", code=quote(style.code)))
        return style

    async def _exists(self, style: Style) -> bool:
        return await asyncio.to_thread(self._services.images.files.path(style.image).exists)

    async def _is_public(self, image: ImageRef) -> bool:
        if not isinstance(image, Tile):
            return True
        record = await self._services.db.jobs.get(image.job_id)
        return record is not None and not record.job.destination.private


def _unknown(typed: str, purpose: Purpose) -> str:
    if purpose != "style":
        return tr(
            "There is no picture {code} that you can use here. "
            "Codes work in the server where their picture was first used.",
            code=quote(typed),
        )
    if _MIDJOURNEY_CODE.fullmatch(typed):
        return tr(
            "Midjourney's style codes such as {code} mean nothing here. "
            "Use a link to a picture, or a code of this server.",
            code=quote(typed),
        )
    return tr(
        "There is no style {code} that you can use here. Codes work in the server where their picture was first used.",
        code=quote(typed),
    )
