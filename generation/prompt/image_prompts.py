"""What IP-Adapters see to in a prompt: a character, pictures in front of the text, and the style."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from generation.models.files.image_adapters import ImageAdapter
from generation.params import PromptPart
from generation.planning.image_prompts import STYLE_LAYERS
from generation.prompt.request import PENDING_IMAGE
from generation.prompt.values import Scope
from generation.text import Text

_OF_CHARACTERS = ("character_code", "character_weight")


def character_problems(typed: Mapping[str, Any], given: Mapping[str, Any], scope: Scope) -> list[Text]:
    """Return the problems of `--cref` and `--cw`, which are each valid alone."""
    if "character_weight" in typed and "character_code" not in given:
        return [
            Text(
                "Cannot use `--cw` without a character: add `--cref` with a link or a code, or use the `character` "
                "option"
            )
        ]
    adapters, model = scope.registry.adapters, scope.model
    if "character_code" in typed and adapters.choose_image_adapter(model, for_character=True) is None:
        return [Text("Cannot use `--cref`: no IP-Adapter is installed for {model}", model=model.name)]
    return []


def with_image_adapters(fields: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Return the fields of `Params` with the IP-Adapters for the style and the character that they name.

    Without one for characters, as where a preference names a character, there is none.
    """
    adapters, model = scope.registry.adapters, scope.model
    general = adapters.choose_image_adapter(model)
    face = adapters.choose_image_adapter(model, for_character=True)
    found = dict(fields)
    if "style_code" in fields and general is not None and model.family in STYLE_LAYERS:
        found["style_adapter"] = general.name
    if "character_code" not in fields:
        return found
    if face is None:
        return {name: value for name, value in found.items() if name not in _OF_CHARACTERS}
    return found | {"character": PENDING_IMAGE, "character_adapter": face.name}


def prompt_adapter(given: Mapping[str, Any], parts: tuple[PromptPart, ...], scope: Scope) -> ImageAdapter | None:
    """Return the IP-Adapter that takes the pictures of a prompt beside its words.

    None if the picture starts from them: where none is installed that sees more than faces, without words, and where
    their shapes or lightness, or all but what words change, are kept.
    """
    kept = given.get("mix") or given.get("colourise") or given.get("retouch")
    if kept or given.get("image_weight", 1.0) == 0 or not any(part.text for part in parts):
        return None
    return scope.registry.adapters.choose_image_adapter(scope.model)
