"""Write docs/commands.md and the table in docs/prompts.md from the code: `python -m scripts.commands_doc`."""

from __future__ import annotations

import asyncio
import inspect
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from discord import AppCommandOptionType as Kind
from discord import AppCommandType, app_commands

from bot.app import EXTENSIONS
from bot.client import Client
from bot.config import Config
from bot.jobs.tasks import TaskRegistry
from bot.services import open_services
from bot.ui.job_views import (
    CANCEL_LABEL,
    DELETE,
    DETAILS,
    FILM_MP4_LABEL,
    IMAGE_BUTTON_ROWS,
    LAST_ROW,
    LIKE,
    REMIX,
    RETRY_LABEL,
    WALK_LABEL,
)
from cogs.batch import CONFIRM_LABEL
from cogs.reactions import CROSS, ENVELOPE
from generation.job import Action
from generation.models.model import EMBEDDED
from generation.models.registry import ModelRegistry
from generation.prompt.parameters import PARAMETERS, Parameter
from generation.worker.fleet import Fleet
from generation.worker.worker import LocalWorker

ROOT = Path(__file__).resolve().parents[1]
COMMANDS, PROMPTS = ROOT / "docs" / "commands.md", ROOT / "docs" / "prompts.md"

HEADER = """\
# Commands, buttons and parameters

Written by `python -m scripts.commands_doc` from the code itself: change it there.
"""
OPTION_TYPES = {
    Kind.string: "text",
    Kind.integer: "whole number",
    Kind.boolean: "yes or no",
    Kind.user: "person",
    Kind.channel: "channel",
    Kind.role: "role",
    Kind.mentionable: "person or role",
    Kind.number: "number",
    Kind.attachment: "file",
}
MANAGE_GUILD = 1 << 5
GRID_ROWS: tuple[dict[str, str], ...] = (
    {Action.PICK: "U1 U2 U3 U4", Action.REROLL: "🔄"},
    {Action.VARY_STRONG: "V1 V2 V3 V4", Action.WALK: WALK_LABEL},
)
BUTTON_DESCRIPTIONS = {
    Action.PICK: "That picture of the grid, as one of its own with all its buttons.",
    Action.REROLL: "The same prompt again, from other noise.",
    Action.UPSCALE_SUBTLE: "Twice the size, with the details kept.",
    Action.UPSCALE_CREATIVE: "Twice the size, with new details.",
    Action.UPSCALE_CREATIVE_4: "Four times the size, with new details.",
    Action.CLEAN_UP: "The same size, with blemishes and the marks of compression drawn over.",
    Action.COLOUR: "Its words with colours, on the same lightness; only below a picture that they made grey.",
    Action.VARY_SUBTLE: "Four pictures near this one.",
    Action.VARY_STRONG: "Four pictures that keep the idea of this one.",
    Action.VARY_REGION: "Redraws a part of it: a named one, numbered squares, or your own mask.",
    Action.EDIT_WORDS: "The same picture with other words: same seed, same size; `--keep` says how much of it stays.",
    Action.ZOOM_2: "The picture in the middle of one that shows twice as much.",
    Action.ZOOM_1_5: "The picture in the middle of one that shows half as much again.",
    Action.ZOOM_CUSTOM: "The same with a factor, a shape and a prompt of your own.",
    Action.MAKE_SQUARE: "What is missing to a square is drawn around it; only where it is none.",
    Action.ZOOM_FILM: "A film that zooms out of it, into it or both: three to eight pictures are drawn around it.",
    Action.WALK: "A film that goes from one picture of the grid to another: 24 to 48 pictures are drawn on the way.",
    Action.PAN_LEFT: "More on the left; can be repeated.",
    Action.PAN_RIGHT: "More on the right; can be repeated.",
    Action.PAN_UP: "More above; can be repeated.",
    Action.PAN_DOWN: "More below; can be repeated.",
    LIKE: "Among your favourites, or out of them again.",
    REMIX: "Variations with a prompt that you change first.",
    DETAILS: "Seed, id, all parameters, the prompt to copy and where it comes from, for you alone.",
    DELETE: "The message and its files are gone. For the owner, and for moderators.",
}
REACTIONS = {
    f"{ENVELOPE}\ufe0f": "Its pictures come to you one by one by direct message.",
    CROSS: "The job is cancelled, or its result deleted.",
}


def parameter_table() -> str:
    """Return a table of all parameters with their names, range, default and an example."""
    return _table(("names", "range", "default", "example", "what it does"), map(_parameter_row, PARAMETERS))


def _parameter_row(parameter: Parameter) -> tuple[str, ...]:
    names = ", ".join(f"`--{name}`" for name in parameter.names)
    example = f"`{parameter.example}`" if parameter.example else ""
    return names, parameter.value_type.range, parameter.default, example, parameter.help


@asynccontextmanager
async def offline_client() -> AsyncIterator[Client]:
    """Yield a client with all extensions loaded, without a connection to Discord and without a GPU process."""
    with tempfile.TemporaryDirectory() as folder:
        config = Config(data_dir=Path(folder))
        async with (
            open_services(config, Fleet([_OfflineWorker(ModelRegistry.from_refs([EMBEDDED]))])) as services,
            Client(services, TaskRegistry(services.db.jobs), []) as client,
        ):
            for extension in EXTENSIONS:
                await client.load_extension(extension)
            yield client


class _OfflineWorker(LocalWorker):
    """A worker that never starts its process."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...


def render_commands(client: Client) -> str:
    """Return the text of docs/commands.md."""
    payloads = [command.to_dict(client.tree) for command in client.tree.get_commands()]
    commands = [payload for payload in payloads if payload["type"] == AppCommandType.chat_input.value]
    menus = [command for command in client.tree.get_commands() if isinstance(command, app_commands.ContextMenu)]
    sections = [
        HEADER,
        "## Commands",
        *command_sections(sorted(commands, key=lambda payload: str(payload["name"]))),
        *_menu_section(menus),
        "## Reactions\nTo a result of your own:",
        _table(("reaction", "what it does"), REACTIONS.items()),
        "## Buttons",
        "Below a grid:",
        _button_table(GRID_ROWS),
        "Below one picture:",
        _button_table((*IMAGE_BUTTON_ROWS, LAST_ROW)),
        "Elsewhere:",
        _table(("button", "what it does"), _other_buttons()),
        "## Parameters\nThey stand at the end of a prompt; [prompts.md](prompts.md) tells more.",
        parameter_table(),
    ]
    return "\n\n".join(section.strip() for section in sections) + "\n"


def render_prompts() -> str:
    """Return the text of docs/prompts.md with an updated table of parameters."""
    text = PROMPTS.read_text(encoding="utf-8")
    before, _, rest = text.partition("| names | range |")
    _, gap, after = rest.partition("\n\n")
    return f"{before}{parameter_table()}{gap}{after}"


def _menu_section(menus: Iterable[app_commands.ContextMenu]) -> Iterator[str]:
    if rows := [(f"*{menu.name}*", _first_sentence(menu.callback)) for menu in menus]:
        yield "## Menu of a message\nIn Discord: right-click or hold a message, *Apps*."
        yield _table(("entry", "what it does"), rows)


def _first_sentence(function: object) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]


def _button_table(rows: Iterable[dict[str, str]]) -> str:
    cells = [(f"**{label}**", BUTTON_DESCRIPTIONS[action_id]) for row in rows for action_id, label in row.items()]
    return _table(("button", "what it does"), cells)


def _other_buttons() -> Iterator[tuple[str, str]]:
    yield f"**{CANCEL_LABEL}**", "Below a status message: ends the job. For the owner, and for moderators."
    yield f"**{RETRY_LABEL}**", "Below a refused prompt or a failed job: opens it again, to be corrected."
    yield f"**{FILM_MP4_LABEL}**", "Below a film, where ffmpeg is installed: sends it as an MP4, to you alone."
    yield f"**{CONFIRM_LABEL}**", "Below the question whether several jobs are wanted."


def command_sections(payloads: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield a section for each command from its payload for Discord."""
    for payload in payloads:
        leaves = list(_leaves(payload, payload["name"]))
        if leaves == [(payload["name"], payload)]:
            yield _command(payload, f"### /{payload['name']}{_audience(payload)}")
        else:
            yield f"### /{payload['name']}{_audience(payload)}\n{payload['description']}."
            yield from (_command(leaf, f"#### /{name}") for name, leaf in leaves)


def _leaves(payload: dict[str, Any], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    inner = [option for option in payload.get("options", []) if Kind(option["type"]) not in OPTION_TYPES]
    if not inner:
        yield name, payload
    for option in inner:
        yield from _leaves(option, f"{name} {option['name']}")


def _command(payload: dict[str, Any], heading: str) -> str:
    text = f"{heading}\n{payload['description']}."
    if options := payload.get("options"):
        text += "\n\n" + _table(("option", "value", "what it is"), map(_option_row, options))
    return text


def _audience(payload: dict[str, Any]) -> str:
    permissions = payload.get("default_member_permissions")
    return " (for who may manage the server)" if permissions and int(permissions) & MANAGE_GUILD else ""


def _option_row(option: dict[str, Any]) -> tuple[str, ...]:
    optional = "" if option.get("required") else ", may be left out"
    return f"`{option['name']}`", _value(option) + optional, _sentence(option["description"])


def _value(option: dict[str, Any]) -> str:
    if choices := option.get("choices"):
        return ", ".join(f"*{choice['name']}*" for choice in choices)
    kind, low, high = OPTION_TYPES[Kind(option["type"])], *_bounds(option)
    if option.get("autocomplete"):
        kind += " that is offered as you type"
    unit = " characters" if Kind(option["type"]) is Kind.string else ""
    if low is None and high is None:
        return kind
    return f"{kind}, {low if low is not None else 0}–{high}{unit}" if high is not None else f"{kind} from {low}{unit}"


def _bounds(option: dict[str, Any]) -> tuple[Any, Any]:
    low, high = (option.get(f"{end}_length", option.get(f"{end}_value")) for end in ("min", "max"))
    return low, high


def _sentence(description: str) -> str:
    return "" if description == "…" else description  # discord.py's default for an option without description


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


async def main() -> None:
    """Write both pages."""
    async with offline_client() as client:
        COMMANDS.write_text(render_commands(client), encoding="utf-8")
    PROMPTS.write_text(render_prompts(), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
