"""Check that the bot's commands are registered at Discord."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

from bot.app import EXTENSIONS
from bot.client import Client
from bot.config import Config
from bot.doctor.rest import RestClient
from bot.doctor.result import CheckResult, failed, passed
from bot.instance_lock import is_locked
from bot.jobs.tasks import TaskRegistry
from bot.services import open_services
from generation.models.model import EMBEDDED
from generation.models.registry import ModelRegistry
from generation.worker.fleet import Fleet
from generation.worker.worker import LocalWorker


async def check_commands(config: Config, api: RestClient, application: dict[str, Any]) -> list[CheckResult]:
    """Compare the commands registered at Discord with those of the bot."""
    registered = {(command["type"], command["name"]) for command in await api.get(_commands_path(application))}
    missing = await registered_commands(config) - registered
    if not missing:
        return [passed("commands", f"all {len(registered)} are registered at Discord")]
    names = ", ".join(sorted(name for _, name in missing))
    if is_locked(config.data_dir):
        return [failed("commands", f"not registered at Discord: {names}", "Restart the bot: it registers them.")]
    return [passed("commands", f"the bot registers these at its next start: {names}")]


async def registered_commands(config: Config) -> set[tuple[int, str]]:
    """Return the type and name of every command, using a client that never connects, on a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        temporary_config = dataclasses.replace(config, data_dir=Path(folder), metrics_port=0)
        async with (
            open_services(temporary_config, Fleet([_IdleWorker(ModelRegistry.from_refs([EMBEDDED]))])) as services,
            Client(services, TaskRegistry(services.db.jobs), []) as client,
        ):
            for extension in EXTENSIONS:
                await client.load_extension(extension)
            payloads = [command.to_dict(client.tree) for command in client.tree.get_commands()]
    return {(int(payload.get("type", 1)), payload["name"]) for payload in payloads}


class _IdleWorker(LocalWorker):
    """A worker that has a model registry and starts no process."""

    async def start(self) -> None:
        """Start nothing."""


def _commands_path(application: dict[str, Any]) -> str:
    return f"/applications/{application['id']}/commands"
