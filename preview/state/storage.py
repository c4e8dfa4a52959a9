"""Keep a world in a folder, so that the preview survives a restart."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import types
from pathlib import Path
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from preview.state.core import Core
from preview.state.interactions import TOKEN_LIVES, Interaction
from preview.state.world import Application, Channel, Guild, Json, Message, User, World

T = TypeVar("T")
SAVE_AFTER = 1.0
FORMAT = 1


class Storage:
    """Write the world to `world.json`, at most once a second, replacing the file in one step."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "world.json"
        self._task: asyncio.Task[None] | None = None

    def _stored(self) -> Json:
        stored: Json = json.loads(self._path.read_text(encoding="utf-8")) if self._path.is_file() else {}
        return stored if stored.get("format") == FORMAT else {}

    def load(self) -> World | None:
        """Return the world that was saved, None if there is none."""
        stored = self._stored()
        return world_from(stored) if stored else None

    def load_interactions(self, core: Core) -> None:
        """Give back the interactions whose tokens may still be good; a token outlives a restart of the bot."""
        for each in self._stored().get("interactions", []):
            core.keep(Interaction.restored(core, each))

    def save(self, core: Core) -> None:
        """Write the world now."""
        out = world_to(core.world)
        young = [each for each in core.interactions.values() if each.age <= TOKEN_LIVES]
        out["interactions"] = [each.stored() for each in young]
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps(out, ensure_ascii=False), encoding="utf-8")
        beside.replace(self._path)

    def watch(self, core: Core) -> None:
        """Save after changes, from now on."""
        self._task = asyncio.create_task(self._save_on_change(core))

    async def close(self, core: Core) -> None:
        """Stop watching, and save."""
        if self._task:
            self._task.cancel()
        self.save(core)

    async def _save_on_change(self, core: Core) -> None:
        with core.feed.subscription() as changes:
            while True:
                await changes.get()
                await asyncio.sleep(SAVE_AFTER)
                while not changes.empty():
                    changes.get_nowait()
                self.save(core)


def world_to(world: World) -> Json:
    """Write a world as JSON."""
    return {
        "format": FORMAT,
        "application": dataclasses.asdict(world.application),
        "users": [dataclasses.asdict(each) for each in world.users.values()],
        "guilds": [dataclasses.asdict(each) for each in world.guilds.values()],
        "channels": [dataclasses.asdict(each) for each in world.channels.values()],
        "messages": [_message_to(each) for each in world.messages.values()],
        "commands": list(world.commands.values()),
    }


def _message_to(message: Message) -> Json:
    """Write a message without its past, of which every step of a drawing is a part."""
    return dataclasses.asdict(dataclasses.replace(message, history=message.history[-1:]))


def world_from(stored: Json) -> World:
    """Read a world from JSON."""
    world = World(application=build(Application, stored["application"]))
    world.users = _by_id(build(User, each) for each in stored["users"])
    world.guilds = _by_id(build(Guild, each) for each in stored["guilds"])
    world.channels = _by_id(build(Channel, each) for each in stored["channels"])
    world.messages = _by_id(build(Message, each) for each in stored["messages"])
    world.commands = {int(each["id"]): each for each in stored["commands"]}
    world.skip_ids(max([*world.users, *world.guilds, *world.channels, *world.messages, *world.commands]))
    return world


def _by_id(things: Any) -> Any:
    return {each.id: each for each in things}


def build(kind: type[T], value: Any) -> T:
    """Build a dataclass, with what is inside it, from what `dataclasses.asdict` and JSON made of it."""
    hints = get_type_hints(kind)
    fields = {name: _convert(hints[name], each) for name, each in value.items()}
    return kind(**fields)


def _convert(hint: Any, value: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        options = [each for each in get_args(hint) if dataclasses.is_dataclass(each)]
        return value if value is None or not options else build(cast("type[Any]", options[0]), value)
    if get_origin(hint) is list:
        return [_convert(get_args(hint)[0], each) for each in value]
    if get_origin(hint) is dict and get_args(hint)[0] is int:
        return {int(key): _convert(get_args(hint)[1], each) for key, each in value.items()}
    return build(cast("type[Any]", hint), value) if dataclasses.is_dataclass(hint) else value
