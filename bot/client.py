"""The Discord client: intents, startup, and the registration of commands."""

from __future__ import annotations

import hashlib
import json
import logging
import pkgutil

import discord
import yarl
from discord.ext import commands
from discord.gateway import DiscordWebSocket

from bot.config import DISCORD_API_URL
from bot.discord_calls import NO_MENTIONS
from bot.discord_responses import watch_responses
from bot.finding.finder import PictureFinder
from bot.finding.indexer import PictureIndexer
from bot.finding.outline_file import OUTLINES_FILE, OutlineFile
from bot.gateway_hooks import GatewayHooks
from bot.jobs.deferrals import Deferrals
from bot.jobs.delivery import Delivery
from bot.jobs.recovery import resume_unfinished_jobs
from bot.jobs.requests import PromptReader
from bot.jobs.runner import JobRunner
from bot.jobs.service import JobService
from bot.jobs.tasks import TaskRegistry
from bot.services import Services
from bot.sessions.service import SessionService
from bot.ui.command_translator import CommandTranslator
from bot.ui.errors import on_tree_error
from bot.ui.i18n import use_interaction_locale
from bot.ui.modals import modals
from db.jobs import JobRecord

log = logging.getLogger(__name__)

# discord.py warns about missing voice libraries, which this bot does not need.
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False

INTENTS = discord.Intents(guilds=True, guild_reactions=True, dm_reactions=True)


class Client(commands.AutoShardedBot):
    """The bot's connection to Discord: commands, buttons and reactions, without privileged intents.

    `unfinished_jobs` are resumed once connected. `tasks` outlives a client that lost its connection.
    """

    def __init__(self, services: Services, tasks: TaskRegistry, unfinished_jobs: list[JobRecord]) -> None:
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            intents=INTENTS,
            allowed_mentions=NO_MENTIONS,
            # Without these, Discord offers commands in servers only.
            allowed_installs=discord.app_commands.AppInstallationType(guild=True, user=True),
            allowed_contexts=discord.app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=True),
        )
        self.services = services
        self.tasks = tasks
        self._stopping = False
        self.unfinished_jobs = unfinished_jobs
        self.delivery = Delivery(self, services.clock)
        self.deferrals = Deferrals(self, services)
        self.prompts = PromptReader(services)
        self.jobs = JobService(services, tasks, self.delivery, JobRunner(self, services, tasks, self.delivery))
        self.sessions = SessionService(self, services)
        self.finder = PictureFinder(
            services.db.picture_index,
            services.db.gallery,
            services.images.thumbnails,
            OutlineFile(services.config.data_dir / OUTLINES_FILE),
        )
        self.indexer = PictureIndexer(self, services, self.finder)
        self.tree.on_error = on_tree_error  # type: ignore[method-assign]
        self.tree.interaction_check = _set_locale  # type: ignore[method-assign]
        self.gateway_hooks = GatewayHooks(self, services.config.allowed_guilds)
        watch_responses(self, self.gateway_hooks.admission.answered)

    async def setup_hook(self) -> None:
        await self.deferrals.load()
        if self.services.config.discord_api_url != DISCORD_API_URL:
            # discord.py connects to this address after a session that cannot be resumed, and ignores any other.
            _, gateway, _ = await self.http.get_bot_gateway()
            DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway)
        await self.tree.set_translator(CommandTranslator())
        await self.sync_commands()

    async def load_extension(self, name: str, *, package: str | None = None) -> None:
        """Set up an extension, whose module is imported once per process.

        discord.py would execute it again, beside the copy that other cogs have imported; then a modal's route or a
        module's state could belong to either of the two.
        """
        await pkgutil.resolve_name(name).setup(self)

    async def close(self) -> None:
        # Tasks end first, while they can still reach Discord. Cancelled jobs are resumed at the next start.
        self._stopping = True
        await self.sessions.stop()
        await self.indexer.stop()
        await self.tasks.cancel_all(self.gateway_hooks.admission.close())
        await super().close()

    async def on_connect(self) -> None:
        resume_unfinished_jobs(self.jobs.runner, self.unfinished_jobs)
        self.tasks.spawn("videos", self.jobs.runner.videos.resume())
        self.tasks.spawn("deferrals", self.deferrals.answer_open())

    async def on_interaction(self, interaction: Interaction) -> None:
        await modals.dispatch(interaction)

    async def on_ready(self) -> None:
        log.info("connected as %s", self.user)
        if self._stopping:  # what started now would outlive the database
            return
        self.sessions.start()  # now, because the servers and their channels are known
        self.indexer.start()

    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        await self.sessions.end_in_channel(channel.id)

    async def on_raw_thread_delete(self, thread: discord.RawThreadDeleteEvent) -> None:
        await self.sessions.end_in_channel(thread.thread_id)
        await self.services.db.picture_index.forget_thread(thread.thread_id)

    async def sync_commands(self) -> None:
        """Send Discord the commands and their translations if they have changed: it allows 200 changes a day."""
        translator = self.tree.translator
        assert translator is not None, "set in setup_hook"
        payload = [await command.get_translated_payload(self.tree, translator) for command in self.tree.get_commands()]
        text = json.dumps([self.application_id, self.services.config.discord_api_url, payload], sort_keys=True)
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        known = {(command.type.value, command.name) for command in await self.tree.fetch_commands()}
        current = {(int(command.get("type", 1)), command["name"]) for command in payload}
        if known == current and await self.services.db.jobs.get_meta("commands") == fingerprint:
            return
        await self.tree.sync()
        await self.services.db.jobs.set_meta("commands", fingerprint)
        log.info("sent Discord %d commands", len(payload))


Interaction = discord.Interaction[Client]


async def _set_locale(interaction: Interaction) -> bool:
    """Set the locale before a command runs."""
    await use_interaction_locale(interaction)
    return True
