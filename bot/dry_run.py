"""Read a prompt in the terminal: print what it means, and refuse what needs Discord."""

from __future__ import annotations

import json
from typing import Any

from bot.config import Config
from bot.registry import load_registry
from generation.models.registry import ModelRegistry
from generation.params import ImageRef, LoraWeight, Params
from generation.prompt import PromptError, PromptReading, read_prompt

# What the terminal does not have: a queue, other people, and a second grid.
NEED_DISCORD = ("fast", "relax", "turbo", "stealth", "public", "repeat")


def print_dry_run(config: Config, prompt: str, *, with_image: bool) -> int:
    """Print what was read of a prompt as JSON, and return the exit code: 2 if it has faults."""
    reading = read_prompt(prompt, load_registry(config), attached=int(with_image))
    print(json.dumps(_describe(reading), ensure_ascii=False, indent=2))
    return 2 if reading.problems else 0


def parse_for_terminal(prompt: str, registry: ModelRegistry, *, source: ImageRef | None) -> Params:
    """Parse a prompt to be drawn at once; raise PromptError with all its problems."""
    reading = read_prompt(prompt, registry, attached=int(source is not None))
    problems = [str(problem) for problem in reading.problems]
    problems += [f"`--{name}` works in Discord only" for name in NEED_DISCORD if name in reading.parameters]
    problems += ["Links to pictures do not work here: use --image"] if reading.links else []
    if problems or reading.request is None:
        raise PromptError(*problems)
    return reading.request.with_images([source] if source else [])


def _describe(reading: PromptReading) -> dict[str, Any]:
    return {
        "text": [{"text": part.text, "weight": part.weight} for part in reading.parts if part.text],
        "parameters": {name: _plain(name, value) for name, value in reading.parameters.items()},
        "links": reading.links,
        "left_out": reading.left_out,
        "faults": reading.problems,
    }


def _plain(name: str, value: Any) -> Any:
    if name == "aspect":
        return "{}:{}".format(*value)
    if isinstance(value, tuple):
        return [_plain("", each) for each in value]
    return {"name": value.name, "weight": value.weight} if isinstance(value, LoraWeight) else value
