"""The language of prompts: reading what was typed, and writing what was applied."""

from generation.prompt.echo import naming, naming_loras, write
from generation.prompt.faults import PromptFaults
from generation.prompt.names import is_taken
from generation.prompt.permutations import TooManyPermutations, expand, permute, with_parameter
from generation.prompt.pieces import MAX_LENGTH
from generation.prompt.reading import MOST_PICTURES, choose_model, parse, read, still_known
from generation.prompt.wish import TO_COME, Wish

__all__ = [
    "MAX_LENGTH",
    "MOST_PICTURES",
    "TO_COME",
    "PromptFaults",
    "TooManyPermutations",
    "Wish",
    "choose_model",
    "expand",
    "is_taken",
    "naming",
    "naming_loras",
    "parse",
    "permute",
    "read",
    "still_known",
    "with_parameter",
    "write",
]
