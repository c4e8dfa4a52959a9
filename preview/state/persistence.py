"""Store a world in a folder, so that the preview survives a restart."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import types
from pathlib import Path
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from preview.state.core import FakeDiscordState
from preview.state.interactions import TOKEN_LIFETIME_S, Interaction
from preview.state.world import Application, Channel, Guild, Json, Message, User, World

T = TypeVar("T")
SAVE_INTERVAL_S = 1.0
FORMAT_VERSION = 1


class WorldStorage:
    """Save the world to `world.json` at most once a second, replacing the file atomically."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "world.json"
        self._task: asyncio.Task[None] | None = None

    def _read(self) -> Json:
        stored: Json = json.loads(self._path.read_text(encoding="utf-8")) if self._path.is_file() else {}
        return stored if stored.get("format") == FORMAT_VERSION else {}

    def load(self) -> World | None:
        """Return the saved world, None if there is none."""
        stored = self._read()
        return load_world(stored) if stored else None

    def load_interactions(self, core: FakeDiscordState) -> None:
        """Restore the interactions whose tokens may still be valid: a token outlives a restart of the bot."""
        for each in self._read().get("interactions", []):
            core.add_interaction(Interaction.from_json(core.world, core.event_bus, each))

    def save(self, core: FakeDiscordState) -> None:
        """Save the world now."""
        out = dump_world(core.world)
        unexpired = [each for each in core.interactions.values() if each.age <= TOKEN_LIFETIME_S]
        out["interactions"] = [each.to_json() for each in unexpired]
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(out, ensure_ascii=False), encoding="utf-8")
        temporary.replace(self._path)

    def start_autosave(self, core: FakeDiscordState) -> None:
        """Save after every change from now on."""
        self._task = asyncio.create_task(self._save_on_change(core))

    async def close(self, core: FakeDiscordState) -> None:
        """Stop the autosave and save."""
        if self._task:
            self._task.cancel()
        self.save(core)

    async def _save_on_change(self, core: FakeDiscordState) -> None:
        with core.event_bus.subscribe() as changes:
            while True:
                await changes.get()
                await asyncio.sleep(SAVE_INTERVAL_S)
                while not changes.empty():
                    changes.get_nowait()
                self.save(core)


def dump_world(world: World) -> Json:
    """Return a world as JSON."""
    return {
        "format": FORMAT_VERSION,
        "application": dataclasses.asdict(world.application),
        "users": [dataclasses.asdict(each) for each in world.users.values()],
        "guilds": [dataclasses.asdict(each) for each in world.guilds.values()],
        "channels": [dataclasses.asdict(each) for each in world.channels.values()],
        "messages": [_dump_message(each) for each in world.messages.values()],
        "commands": list(world.commands.values()),
    }


def _dump_message(message: Message) -> Json:
    """Return a message with only its latest revision: each progress update of a job adds one."""
    return dataclasses.asdict(dataclasses.replace(message, history=message.history[-1:]))


def load_world(stored: Json) -> World:
    """Build a world from JSON."""
    world = World(application=from_json(Application, stored["application"]))
    world.users = _by_id(from_json(User, each) for each in stored["users"])
    world.guilds = _by_id(from_json(Guild, each) for each in stored["guilds"])
    world.channels = _by_id(from_json(Channel, each) for each in stored["channels"])
    world.messages = _by_id(from_json(Message, each) for each in stored["messages"])
    world.commands = {int(each["id"]): each for each in stored["commands"]}
    events = [event for guild in world.guilds.values() for event in guild.events]
    world.reserve_ids(max([*world.users, *world.guilds, *world.channels, *world.messages, *world.commands, *events]))
    return world


def _by_id(objects: Any) -> Any:
    return {each.id: each for each in objects}


def from_json(kind: type[T], value: Any) -> T:
    """Build a dataclass and its nested dataclasses from the JSON of `dataclasses.asdict`."""
    hints = get_type_hints(kind)
    fields = {name: _convert(hints[name], each) for name, each in value.items()}
    return kind(**fields)


def _convert(hint: Any, value: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        options = [each for each in get_args(hint) if dataclasses.is_dataclass(each)]
        return value if value is None or not options else from_json(cast("type[Any]", options[0]), value)
    if get_origin(hint) is list:
        return [_convert(get_args(hint)[0], each) for each in value]
    if get_origin(hint) is dict and get_args(hint)[0] is int:
        return {int(key): _convert(get_args(hint)[1], each) for key, each in value.items()}
    return from_json(cast("type[Any]", hint), value) if dataclasses.is_dataclass(hint) else value
