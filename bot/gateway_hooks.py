"""Hooks that run on gateway events before discord.py dispatches them to commands, components, modals or reactions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Any

import discord

from bot.admission import Admission
from bot.policy.allowlist import denial_message
from bot.ui.errors import report_errors, respond_ephemeral
from generation import logs

log = logging.getLogger(__name__)

Json = dict[str, Any]
Parser = Callable[[Json], None]

REACTION_EVENTS = ("MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE")


class GatewayHooks:
    """Set the log context of each event, and drop events from servers that may not use the bot.

    discord.py has no public hook for this. It starts a task for each event while it parses the event, so the task
    inherits the log context that is set here.
    """

    def __init__(self, client: discord.Client, allowed: Collection[int]) -> None:
        self.admission = Admission()
        self._state = client._connection
        self._allowed = allowed
        self._reject_tasks: set[asyncio.Task[None]] = set()
        self._unreadable: set[str] = set()
        parsers: dict[str, Parser] = self._state.parsers
        parsers["INTERACTION_CREATE"] = self._wrap_interaction_parser(parsers["INTERACTION_CREATE"])
        for event in REACTION_EVENTS:
            parsers[event] = self._wrap_reaction_parser(parsers[event])
        for event, parse in parsers.items():
            parsers[event] = self._guard(event, parse)

    def _guard(self, event: str, parse: Parser) -> Parser:
        """Return a parser that skips what it cannot read: discord.py would end its connection, and so the program."""

        def handle(data: Json) -> None:
            try:
                parse(data)
            except Exception as error:
                log.error(
                    "an event %s cannot be read: %s: %s",
                    event,
                    type(error).__name__,
                    error,
                    exc_info=error if event not in self._unreadable else None,  # once is enough
                )
                self._unreadable.add(event)

        return handle

    def _wrap_interaction_parser(self, parse: Parser) -> Parser:
        parse = self._guard("INTERACTION_CREATE", parse)

        def handle(data: Json) -> None:
            person = data["member"]["user"] if "member" in data else data["user"]

            def start() -> None:
                with logs.log_context(interaction=data["id"], guild=data.get("guild_id"), person=person["id"]):
                    if self._denial_message(data):
                        self._reject(data)
                    else:
                        parse(data)

            self.admission.submit(int(data["id"]), start)

        return handle

    def _wrap_reaction_parser(self, parse: Parser) -> Parser:
        def handle(data: Json) -> None:
            with logs.log_context(guild=data.get("guild_id"), person=data["user_id"]):
                if not self._denial_message(data):
                    self.admission.track(lambda: parse(data))

        return handle

    def _denial_message(self, data: Json) -> str | None:
        guild_id = data.get("guild_id")
        return denial_message(self._allowed, int(guild_id) if guild_id else None)

    def _reject(self, data: Json) -> None:
        interaction: discord.Interaction[Any] = discord.Interaction(data=data, state=self._state)  # type: ignore[arg-type]
        if interaction.type is discord.InteractionType.autocomplete:  # its response cannot hold a message
            return
        task = asyncio.create_task(self._send_denial(interaction, data))
        self._reject_tasks.add(task)
        task.add_done_callback(self._reject_tasks.discard)

    async def _send_denial(self, interaction: discord.Interaction[Any], data: Json) -> None:
        async with report_errors(interaction):  # sets the locale, so the message is read only afterwards
            await respond_ephemeral(interaction, self._denial_message(data) or "")
