"""Whether Discord offers people the commands that the bot has."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

from bot.app import FEATURES
from bot.client import Client
from bot.config import Config
from bot.doctor.api import Api
from bot.doctor.finding import Finding, bad, fine
from bot.lock import in_use
from bot.studio import open_studio
from generation.models.model import EMBEDDED
from generation.models.registry import ModelRegistry
from generation.worker.worker import LocalWorker


async def check_commands(config: Config, api: Api, application: dict[str, Any]) -> list[Finding]:
    """Compare what Discord was told with what the bot would tell it."""
    known = {(command["type"], command["name"]) for command in await api.get(_path(application))}
    missing = await offered(config) - known
    if not missing:
        return [fine("commands", f"Discord offers all {len(known)}")]
    names = ", ".join(sorted(name for _, name in missing))
    if in_use(config.data_dir):
        return [bad("commands", f"Discord does not offer {names}", "Start the bot again: it tells Discord.")]
    return [fine("commands", f"Discord is told of {names} when the bot starts next")]


async def offered(config: Config) -> set[tuple[int, str]]:
    """Give the type and name of every command, from a client that never connects and keeps nothing."""
    with tempfile.TemporaryDirectory() as folder:
        elsewhere = dataclasses.replace(config, data_dir=Path(folder), metrics_port=0)
        async with (
            open_studio(elsewhere, _IdleWorker(ModelRegistry.from_refs([EMBEDDED]))) as studio,
            Client(studio, []) as client,
        ):
            for feature in FEATURES:
                await client.load_extension(feature)
            payloads = [command.to_dict(client.tree) for command in client.tree.get_commands()]
    return {(int(payload.get("type", 1)), payload["name"]) for payload in payloads}


class _IdleWorker(LocalWorker):
    """A worker that knows its model and starts no process."""

    async def start(self) -> None:
        """Begin nothing."""


def _path(application: dict[str, Any]) -> str:
    return f"/applications/{application['id']}/commands"
