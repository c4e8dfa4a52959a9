"""The language of prompts: reading what was typed, and writing what was applied."""

from generation.prompt.echo import format_prompt, lora_parameter, model_parameter
from generation.prompt.faults import PromptError
from generation.prompt.names import is_reserved_name
from generation.prompt.permutations import TooManyPermutations, expand, permute, with_parameter
from generation.prompt.pieces import MAX_LENGTH
from generation.prompt.reading import MAX_IMAGES, choose_model, drop_unknown, parse_params, parse_prompt
from generation.prompt.wish import PENDING_IMAGE, PromptRequest

__all__ = [
    "MAX_IMAGES",
    "MAX_LENGTH",
    "PENDING_IMAGE",
    "PromptError",
    "PromptRequest",
    "TooManyPermutations",
    "choose_model",
    "drop_unknown",
    "expand",
    "format_prompt",
    "is_reserved_name",
    "lora_parameter",
    "model_parameter",
    "parse_params",
    "parse_prompt",
    "permute",
    "with_parameter",
]
