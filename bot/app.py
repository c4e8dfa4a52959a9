"""Run the bot: open the services, connect to Discord, and reconnect until stopped."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat

import aiohttp
import discord
from discord.gateway import KeepAliveHandler
from discord.http import Route

from bot.client import Client
from bot.config import Config, ConfigError
from bot.gallery.server import serve_gallery
from bot.instance_lock import acquire_instance_lock
from bot.jobs.tasks import TaskRegistry
from bot.monitoring.http import serve_monitoring
from bot.services import Services, make_fleet, open_services

log = logging.getLogger(__name__)

THREADS = 32
RECONNECT_PAUSES = (1, 2, 5, 15, 60)  # seconds; the last one repeats
AUTHENTICATION_FAILED = 4004  # the gateway's close code
# Discord is sent the commands in this order, so the one that everybody needs is first.
EXTENSIONS = (
    "cogs.imagine",
    "cogs.blend",
    "cogs.show",
    "cogs.find",
    "cogs.walk",
    "cogs.edit",
    "cogs.help",
    "cogs.together.tree",
    "cogs.together.jam",
    "cogs.together.contest",
    "cogs.together.canvas",
    "cogs.together.telephone",
    "cogs.together.bell",
    "cogs.together.news",
    "cogs.settings",
    "cogs.info",
    "cogs.queue",
    "cogs.prefer",
    "cogs.modes",
    "cogs.privacy",
    "cogs.config",
    "cogs.batch",
    "cogs.context_menus",
    "cogs.use_picture",
    "cogs.direct_messages",
    "cogs.image_buttons.animate",
    "cogs.image_buttons.cancel",
    "cogs.image_buttons.delete",
    "cogs.image_buttons.details",
    "cogs.image_buttons.edit_words",
    "cogs.image_buttons.favourite",
    "cogs.image_buttons.region",
    "cogs.image_buttons.remix",
    "cogs.image_buttons.retry",
    "cogs.image_buttons.variations",
    "cogs.prompt_modal",
    "cogs.readings.shorten",
    "cogs.readings.buttons",
    "cogs.readings.describe",
    "cogs.reactions",
)


async def run(config: Config) -> None:
    """Run the bot until cancelled. Raises ConfigError for problems that only the bot operator can fix."""
    if not config.discord_token:
        raise ConfigError("DISCORD_TOKEN is not set")
    Route.BASE = config.discord_api_url
    # DNS lookups can take long, and share these threads with images and files.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    with acquire_instance_lock(config.data_dir):
        async with open_services(config, make_fleet(config)) as services:
            app = App(services)
            async with serve_monitoring(services, app.current_client), serve_gallery(services, app.current_client):
                try:
                    await app.run_forever()
                except asyncio.CancelledError:
                    log.info("stopping; unfinished jobs resume at the next start")


class App:
    """Runs one client after another, each until discord.py gives up its connection."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.tasks = TaskRegistry(services.db.jobs)
        self.client: Client | None = None

    def current_client(self) -> Client | None:
        """Return the current client, or the last one; None before the first."""
        return self.client

    async def run_forever(self) -> None:
        """Run clients until cancelled.

        discord.py reconnects by itself, but not after a failed login or first connection (its issue 10520); that takes
        a new client. Raises ConfigError for problems that only the bot operator can fix.
        """
        for pause in chain(RECONNECT_PAUSES, repeat(RECONNECT_PAUSES[-1])):
            try:
                await self._run_client()
            except discord.LoginFailure:
                raise ConfigError("Discord refused DISCORD_TOKEN") from None
            except discord.PrivilegedIntentsRequired:
                raise ConfigError("Discord refused the bot's intents") from None
            except discord.ConnectionClosed as closed:
                if closed.code == AUTHENTICATION_FAILED:
                    raise ConfigError("Discord refused DISCORD_TOKEN") from None
                log.warning("Discord closed the connection: %s", closed)
            except ConfigError:
                raise
            except (discord.HTTPException, discord.GatewayNotFound, aiohttp.ClientError, OSError) as error:
                log.warning("cannot connect to Discord: %s", error)
            except Exception:
                log.exception("the connection to Discord ended because of an error nobody expected")
            log.info("reconnecting in %d s", pause)
            await asyncio.sleep(pause)

    async def _run_client(self) -> None:
        self.tasks.resume()
        async with Client(self.services, self.tasks, await self.services.db.jobs.open_records()) as client:
            self.client = client
            for extension in EXTENSIONS:
                await client.load_extension(extension)
            starting = asyncio.create_task(client.start(self.services.config.discord_token), name="discord.py")
            try:
                await asyncio.shield(starting)
            finally:
                # While reconnecting, discord.py swallows a cancellation and goes on until it is closed.
                await client.close()
                starting.cancel()
                await asyncio.wait({starting})
                _stop_heartbeats()


def _stop_heartbeats() -> None:
    """Stop heartbeats of connections abandoned while connecting, which discord.py leaves running."""
    for thread in threading.enumerate():
        if isinstance(thread, KeepAliveHandler):
            thread.stop()
