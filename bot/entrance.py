"""Where everything that people do comes in, before any command, button, menu, form or reaction hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

import discord

from bot.allowlist import refusal
from bot.errors import answer
from generation import logs

Json = dict[str, Any]
Parser = Callable[[Json], None]

REACTIONS = ("MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE")


class Entrance:
    """Say for the log what each event is about, and let in only those of servers that may use the bot.

    discord.py has no such place of its own: it begins a task for each event while it parses it, and all that such a
    task logs is about what the event was about.
    """

    def __init__(self, client: discord.Client, allowed: Collection[int]) -> None:
        self._state = client._connection
        self._allowed = allowed
        self._answering: set[asyncio.Task[None]] = set()
        parsers: dict[str, Parser] = self._state.parsers
        parsers["INTERACTION_CREATE"] = self._for_interactions(parsers["INTERACTION_CREATE"])
        for event in REACTIONS:
            parsers[event] = self._for_reactions(parsers[event])

    def _for_interactions(self, parse: Parser) -> Parser:
        def let_in(data: Json) -> None:
            person = data["member"]["user"] if "member" in data else data["user"]
            with logs.log_context(interaction=data["id"], guild=data.get("guild_id"), person=person["id"]):
                if text := self._refusal(data):
                    self._turn_away(data, text)
                else:
                    parse(data)

        return let_in

    def _for_reactions(self, parse: Parser) -> Parser:
        def let_in(data: Json) -> None:
            with logs.log_context(guild=data.get("guild_id"), person=data["user_id"]):
                if not self._refusal(data):
                    parse(data)

        return let_in

    def _refusal(self, data: Json) -> str | None:
        guild_id = data.get("guild_id")
        return refusal(self._allowed, int(guild_id) if guild_id else None)

    def _turn_away(self, data: Json, text: str) -> None:
        interaction: discord.Interaction[Any] = discord.Interaction(data=data, state=self._state)  # type: ignore[arg-type]
        if interaction.type is discord.InteractionType.autocomplete:  # which has no way to be told anything
            return
        task = asyncio.create_task(answer(interaction, text))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)
