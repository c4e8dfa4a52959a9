"""Where everything that people do comes in, before any command, button, menu, form or reaction hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

import discord

from bot.policy.allowlist import denial_message
from bot.ui.errors import respond_ephemeral
from generation import logs

Json = dict[str, Any]
Parser = Callable[[Json], None]

REACTION_EVENTS = ("MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE")


class GatewayHooks:
    """Say for the log what each event is about, and let in only those of servers that may use the bot.

    discord.py has no such place of its own: it begins a task for each event while it parses it, and all that such a
    task logs is about what the event was about.
    """

    def __init__(self, client: discord.Client, allowed: Collection[int]) -> None:
        self._state = client._connection
        self._allowed = allowed
        self._reject_tasks: set[asyncio.Task[None]] = set()
        parsers: dict[str, Parser] = self._state.parsers
        parsers["INTERACTION_CREATE"] = self._wrap_interaction_parser(parsers["INTERACTION_CREATE"])
        for event in REACTION_EVENTS:
            parsers[event] = self._wrap_reaction_parser(parsers[event])

    def _wrap_interaction_parser(self, parse: Parser) -> Parser:
        def handle(data: Json) -> None:
            person = data["member"]["user"] if "member" in data else data["user"]
            with logs.log_context(interaction=data["id"], guild=data.get("guild_id"), person=person["id"]):
                if text := self._denial_message(data):
                    self._reject(data, text)
                else:
                    parse(data)

        return handle

    def _wrap_reaction_parser(self, parse: Parser) -> Parser:
        def handle(data: Json) -> None:
            with logs.log_context(guild=data.get("guild_id"), person=data["user_id"]):
                if not self._denial_message(data):
                    parse(data)

        return handle

    def _denial_message(self, data: Json) -> str | None:
        guild_id = data.get("guild_id")
        return denial_message(self._allowed, int(guild_id) if guild_id else None)

    def _reject(self, data: Json, text: str) -> None:
        interaction: discord.Interaction[Any] = discord.Interaction(data=data, state=self._state)  # type: ignore[arg-type]
        if interaction.type is discord.InteractionType.autocomplete:  # which has no way to be told anything
            return
        task = asyncio.create_task(respond_ephemeral(interaction, text))
        self._reject_tasks.add(task)
        task.add_done_callback(self._reject_tasks.discard)
