"""Prompt syntax: parse prompts into requests, and format params as prompts."""

from generation.prompt.errors import PromptError
from generation.prompt.infotext.conversion import convert_infotext
from generation.prompt.parameter_names import is_reserved_name
from generation.prompt.parser import (
    MAX_IMAGES,
    PromptReading,
    choose_model,
    drop_unknown,
    parse_params,
    parse_prompt,
    read_prompt,
    sets_field,
    without_model,
)
from generation.prompt.permutations import TooManyPermutations, expand, permute, with_parameter
from generation.prompt.request import PENDING_IMAGE, PromptRequest
from generation.prompt.splitter import MAX_LENGTH
from generation.prompt.syntax import is_link
from generation.prompt.writer import (
    character_parameter,
    control_parameter,
    format_prompt,
    lora_parameter,
    model_parameter,
    style_parameter,
)

__all__ = [
    "MAX_IMAGES",
    "MAX_LENGTH",
    "PENDING_IMAGE",
    "PromptError",
    "PromptReading",
    "PromptRequest",
    "TooManyPermutations",
    "character_parameter",
    "choose_model",
    "control_parameter",
    "convert_infotext",
    "drop_unknown",
    "expand",
    "format_prompt",
    "is_link",
    "is_reserved_name",
    "lora_parameter",
    "model_parameter",
    "parse_params",
    "parse_prompt",
    "permute",
    "read_prompt",
    "sets_field",
    "style_parameter",
    "with_parameter",
    "without_model",
]
