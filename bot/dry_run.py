"""Print what a prompt means, without a model and without Discord."""

from __future__ import annotations

import json
from typing import Any

from bot.config import Config
from bot.registry import load_registry
from generation.edited_text import write_edits
from generation.params import ControlWeight, LoraWeight, PromptPart
from generation.prompt import PromptReading, control_parameter, read_prompt, with_parameter

CONTROL_FILE = "0" * 12  # stands in a prompt for the picture in a file


def print_dry_run(config: Config, prompt: str, *, with_image: bool, with_control: bool = False) -> int:
    """Print what was read of a prompt as JSON, and return the exit code: 2 if it has faults."""
    typed = with_control_file(prompt) if with_control else prompt
    reading = read_prompt(typed, load_registry(config), attached=int(with_image))
    print(json.dumps(_describe(reading), ensure_ascii=False, indent=2))
    return 2 if reading.problems else 0


def with_control_file(prompt: str) -> str:
    """Return the prompt with the picture that `--control-picture` names."""
    return with_parameter(prompt, control_parameter(CONTROL_FILE))


def _describe(reading: PromptReading) -> dict[str, Any]:
    return {
        "text": [_describe_part(part) for part in reading.parts if part.text or part.edited],
        "parameters": {name: _plain(name, value) for name, value in reading.parameters.items()},
        "links": reading.links,
        "left_out": reading.left_out,
        "faults": reading.problems,
    }


def _describe_part(part: PromptPart) -> dict[str, Any]:
    """Return the words and weight of a part, and how its words change where they do."""
    described: dict[str, Any] = {"text": part.text, "weight": part.weight}
    return described | ({"edited": write_edits(part.edited)} if part.edited else {})


def _plain(name: str, value: Any) -> Any:
    if name == "aspect":
        return "{}:{}".format(*value)
    if isinstance(value, tuple):
        return [_plain("", each) for each in value if each != CONTROL_FILE]
    return {"name": value.name, "weight": value.weight} if isinstance(value, LoraWeight | ControlWeight) else value
