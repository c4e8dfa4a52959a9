"""Defer responses so that a restart answers what the bot had not answered when it ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import discord

from bot.discord_calls import TRANSPORT_ERRORS, retry_until_available
from bot.services import Services
from bot.ui.dynamic_items import persistent_view
from bot.ui.i18n import set_locale, tr
from bot.ui.modals import MAX_TEXT_LENGTH
from bot.ui.prompt_block import format_prompt_block
from db.deferrals import Deferral

MOMENT_S = 1.0  # before a response is deferred: long enough for most links, and well within Discord's three seconds

log = logging.getLogger(__name__)


class Deferrals:
    """Defer responses, and answer those that an earlier client left open."""

    def __init__(self, client: discord.Client, services: Services) -> None:
        self._client = client
        self._store = services.db.deferrals
        self._clock = services.clock
        self._removals: set[asyncio.Task[None]] = set()
        self._open: list[Deferral] = []

    async def defer(
        self, interaction: discord.Interaction[Any], *, ephemeral: bool, target: str = "", prompt: str = ""
    ) -> None:
        """Respond "is thinking…", for a task that answers before it ends.

        `target` is the custom_id after "edit:" of the button that opens `prompt` again.
        """
        task = asyncio.current_task()
        assert task is not None
        await self._defer(interaction, task, ephemeral=ephemeral, target=target, prompt=prompt)

    @asynccontextmanager
    async def deferred_if_slow(
        self, interaction: discord.Interaction[Any], *, ephemeral: bool, target: str = "", prompt: str = ""
    ) -> AsyncIterator[None]:
        """Defer as `defer` does if the block takes more than a moment.

        What ends sooner gets a response of its own: an error is then private, although a result would be public.
        """
        task, started = asyncio.current_task(), asyncio.Event()
        assert task is not None

        async def defer_later() -> None:
            await asyncio.sleep(MOMENT_S)
            started.set()
            await self._defer(interaction, task, ephemeral=ephemeral, target=target, prompt=prompt)

        timer = asyncio.create_task(defer_later())
        try:
            yield
        finally:
            if not started.is_set():
                timer.cancel()
            await asyncio.wait({timer})
            if not timer.cancelled() and (error := timer.exception()):
                log.info("a response could not be deferred: %s", error)

    async def _defer(
        self,
        interaction: discord.Interaction[Any],
        task: asyncio.Task[Any],
        *,
        ephemeral: bool,
        target: str,
        prompt: str,
    ) -> None:
        await self._store.add(
            Deferral(
                token=interaction.token,
                token_expires_at=interaction.expires_at.timestamp(),
                person_id=interaction.user.id,
                locale=str(interaction.locale),
                target=target,
                prompt=prompt,
            )
        )
        task.add_done_callback(lambda task: self._forget(task, interaction.token))
        await interaction.response.defer(thinking=True, ephemeral=ephemeral)

    async def load(self) -> None:
        """Load the deferrals of earlier clients, before this one makes any."""
        self._open = await self._store.all()

    async def answer_open(self) -> None:
        """Answer the loaded deferrals: Discord shows "is thinking…" for a quarter of an hour otherwise."""
        while self._open:
            deferral = self._open.pop()
            if self._clock() < deferral.token_expires_at:
                await self._answer(deferral)
            await self._store.remove(deferral.token)

    async def _answer(self, deferral: Deferral) -> None:
        assert self._client.application_id is not None, "only used once logged in"
        set_locale(deferral.locale)
        webhook = discord.Webhook.partial(self._client.application_id, deferral.token, client=self._client)
        original: Any = "@original"  # Discord accepts this in place of a message id
        try:
            message = await retry_until_available(lambda: webhook.fetch_message(original))
            if message.flags.loading:
                await retry_until_available(lambda: webhook.edit_message(original, **_apology(deferral)))
        except TRANSPORT_ERRORS as error:
            log.info("a response from before the restart could not be completed: %s", error)

    def _forget(self, task: asyncio.Task[Any], token: str) -> None:
        if task.cancelled():  # the bot stops, and answers at the next start
            return
        removal = asyncio.create_task(self._store.remove(token))
        self._removals.add(removal)
        removal.add_done_callback(self._removals.discard)


def _apology(deferral: Deferral) -> dict[str, Any]:
    text = tr("I was restarted before I had finished this. Please try again.")
    if not deferral.prompt:
        return {"content": text}
    content, files = format_prompt_block(text, deferral.prompt)
    if len(deferral.prompt) > MAX_TEXT_LENGTH:
        return {"content": content, "attachments": files}
    button: discord.ui.Button[discord.ui.View] = discord.ui.Button(
        label=tr("Edit and retry"), custom_id=f"edit:{deferral.target}"
    )
    return {"content": content, "attachments": files, "view": persistent_view(button)}
