"""Watch what discord.py gets back: when an interaction is answered, and responses that are not Discord's."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from json import JSONDecodeError
from typing import Any

import aiohttp
import discord
from discord.webhook.async_ import AsyncWebhookAdapter, async_context


class NotFromDiscord(aiohttp.ClientError):
    """Something between the bot and Discord responded in Discord's place, such as a proxy with a page of its own."""


class WebhookAdapter(AsyncWebhookAdapter):
    """Make the requests of interactions, and report each first response."""

    def __init__(self, answered: Callable[[int], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._answered = answered

    async def request(self, *route: Any, **fields: Any) -> Any:
        return await require_discord(super().request(*route, **fields))

    async def create_interaction_response(self, interaction_id: int, token: str, **fields: Any) -> Any:
        try:
            return await super().create_interaction_response(interaction_id, token, **fields)
        finally:
            self._answered(interaction_id)


def watch_responses(client: discord.Client, answered: Callable[[int], None]) -> None:
    """Watch the responses to a client's requests, in this context and in the tasks that it starts."""
    async_context.set(WebhookAdapter(answered))
    request = client.http.request
    client.http.request = lambda *route, **fields: require_discord(request(*route, **fields))  # type: ignore[method-assign]


async def require_discord(request: Coroutine[Any, Any, Any]) -> Any:
    """Return the data of a response; raise NotFromDiscord if it is text, because Discord's are JSON or empty."""
    try:
        data = await request
    except JSONDecodeError as error:
        raise NotFromDiscord("the response is damaged") from error
    if isinstance(data, str) and data:
        raise NotFromDiscord("the response is not Discord's")
    return data
