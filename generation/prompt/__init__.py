"""The language of prompts: reading what was typed, and writing what was applied."""

from generation.prompt.echo import write
from generation.prompt.faults import PromptFaults
from generation.prompt.reading import MAX_LENGTH, parse

__all__ = ["MAX_LENGTH", "PromptFaults", "parse", "write"]
