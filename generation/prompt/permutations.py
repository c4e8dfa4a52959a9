r"""Permutations: `{red, blue} fox` is two prompts; groups multiply and nest; `\{`, `\,` and `\}` are plain text."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import TypeVar

from generation.errors import UserError
from generation.prompt.characters import COMMAS
from generation.prompt.copied_text import strip_copied_text
from generation.prompt.infotext.finding import find_infotext
from generation.prompt.syntax import SYNTAX_CHARS, unmask_escaped
from generation.text import Text

T = TypeVar("T")

_TOKEN = re.compile(rf"\\[{re.escape(SYNTAX_CHARS)}]|\{{\s*|\s*\}}|\s*[{COMMAS}]\s*|\s+|[^\\{{}}{COMMAS}\s]+|\\")
MAX_SHOWN_COUNT = 10**6


class TooManyPermutations(UserError):
    """The groups expand to more prompts than allowed."""


def with_parameter(typed: str, parameter: str) -> str:
    """Return the typed prompt without copied text, with one more parameter at its end.

    Infotext that only its lines make one keeps them.
    """
    in_one_line = f"{unmask_escaped(strip_copied_text(typed))} {parameter}".strip()
    if "\n" in typed and find_infotext(typed) and not find_infotext(in_one_line):
        return f"{typed.rstrip()}\n{parameter}"
    return in_one_line


def permute(typed: str, limit: int) -> list[str]:
    """Return all prompts that the typed one stands for, without copied text; raise TooManyPermutations over `limit`."""
    prompt = unmask_escaped(strip_copied_text(typed))
    return expand(prompt, limit) if "{" in prompt else [prompt]


def count(text: str) -> int:
    """Return the number of prompts that `text` expands to, without expanding it."""
    total: int = _fold(text, lambda token: 1, operator.mul, operator.add)
    return total


def expand(text: str, limit: int) -> list[str]:
    """Return all prompts that `text` expands to, escapes unchanged; raise TooManyPermutations over `limit`."""
    total = count(text)
    if total > limit:
        raise TooManyPermutations(_too_many(total, limit))
    # No part of the text expands to more prompts than the whole does, so this also stays within the limit.
    prompts = _fold(text, lambda token: [token], lambda left, right: [a + b for a in left for b in right], operator.add)
    return [" ".join(prompt.split()) for prompt in prompts]


def _too_many(total: int, limit: int) -> Text:
    if total <= MAX_SHOWN_COUNT:
        return Text(
            "The choices in braces make {total} prompts; at most {limit} are allowed at once",
            total=f"{total:,}",
            limit=f"{limit:,}",
        )
    return Text(
        "The choices in braces make more than {total} prompts; at most {limit} are allowed at once",
        total=f"{MAX_SHOWN_COUNT:,}",
        limit=f"{limit:,}",
    )


def _fold(text: str, literal: Callable[[str], T], then: Callable[[T, T], T], either: Callable[[T, T], T]) -> T:
    """Fold the text from the innermost group outwards, without recursion: a hostile text nests thousands deep."""
    tokens = _TOKEN.findall(text)
    grouped = _matched_braces(tokens)
    choices: list[T | None] = [None]  # for each open group: the value of the choices before its last comma
    sequences = [literal("")]  # for each open group: the value of the text after its last comma
    for index, token in enumerate(tokens):
        mark = token.strip()
        if mark == "{" and index in grouped:
            choices.append(None)
            sequences.append(literal(""))
        elif mark in COMMAS and mark and len(sequences) > 1:
            choices[-1] = _combined(choices[-1], sequences[-1], either)
            sequences[-1] = literal("")
        elif mark == "}" and index in grouped:
            group = _combined(choices.pop(), sequences.pop(), either)
            sequences[-1] = then(sequences[-1], group)
        else:
            sequences[-1] = then(sequences[-1], literal(token))
    return sequences[0]


def _combined(before: T | None, last: T, either: Callable[[T, T], T]) -> T:
    return last if before is None else either(before, last)


def _matched_braces(tokens: list[str]) -> set[int]:
    matched: set[int] = set()
    still_open: list[int] = []
    for index, token in enumerate(tokens):
        mark = token.strip()
        if mark == "{":
            still_open.append(index)
        elif mark == "}" and still_open:
            matched |= {still_open.pop(), index}
    return matched
