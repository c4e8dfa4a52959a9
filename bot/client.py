"""The Discord client: who it is, what it may hear, which commands it offers."""

from __future__ import annotations

import hashlib
import json
import logging

import discord
import yarl
from discord.ext import commands
from discord.gateway import DiscordWebSocket

from bot.config import DISCORD_API_URL
from bot.delivery import NOBODY, Delivery
from bot.entrance import Entrance
from bot.errors import answer_command_error
from bot.fetch import Fetcher
from bot.language import listen
from bot.studio import Studio
from bot.taking_in import TakingIn
from db.jobs import JobRecord

log = logging.getLogger(__name__)

# A picture bot needs no voice, so that its libraries are missing is no news.
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False

INTENTS = discord.Intents(guilds=True, guild_reactions=True, dm_reactions=True)


class Client(commands.AutoShardedBot):
    """The bot as Discord sees it: commands, buttons and reactions, no privileged intents.

    `left_open` are the jobs of an earlier life, to be taken up once connected.
    """

    def __init__(self, studio: Studio, left_open: list[JobRecord]) -> None:
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            intents=INTENTS,
            allowed_mentions=NOBODY,
            # Where an install says nothing, Discord offers a command in servers only.
            allowed_installs=discord.app_commands.AppInstallationType(guild=True, user=True),
            allowed_contexts=discord.app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=True),
        )
        self.studio = studio
        self.left_open = left_open
        self.delivery = Delivery(self, studio.clock)
        self.taking_in = TakingIn(studio.pictures, Fetcher(studio.config.stand_in))
        self.tree.on_error = answer_command_error  # type: ignore[method-assign]
        self.tree.interaction_check = _listen  # type: ignore[method-assign]
        self.entrance = Entrance(self, studio.config.allowed_guilds)

    async def setup_hook(self) -> None:
        if self.studio.config.discord_api_url != DISCORD_API_URL:
            # After a session that cannot be resumed, discord.py goes to this address, whatever it was told before.
            _, gateway, _ = await self.http.get_bot_gateway()
            DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway)
        await self.offer_commands()

    async def close(self) -> None:
        # Work goes first, while it can still reach Discord: what fails is given up, what is stopped goes on later.
        await self.studio.stop_all()
        await super().close()

    async def on_ready(self) -> None:
        log.info("connected as %s", self.user)

    async def offer_commands(self) -> None:
        """Tell Discord which commands there are, if that has changed: it allows 200 such changes a day."""
        payload = [command.to_dict(self.tree) for command in self.tree.get_commands()]
        text = json.dumps([self.application_id, self.studio.config.discord_api_url, payload], sort_keys=True)
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        known = {(command.type.value, command.name) for command in await self.tree.fetch_commands()}
        offered = {(int(command.get("type", 1)), command["name"]) for command in payload}
        if known == offered and await self.studio.store.get_meta("commands") == fingerprint:
            return
        await self.tree.sync()
        await self.studio.store.set_meta("commands", fingerprint)
        log.info("told Discord of %d commands", len(payload))


async def _listen(interaction: discord.Interaction[Client]) -> bool:
    """Take on the language of a command's place, before the command runs."""
    await listen(interaction)
    return True
