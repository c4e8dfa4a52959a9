"""Errors in a prompt, worded for the person who typed it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from generation.errors import UserError
from generation.models.capabilities import Capability
from generation.models.model import Model
from generation.prompt.syntax import unmask
from generation.text import Text

QUOTE_LIMIT = 40


class PromptError(UserError):
    """All problems of one prompt, in the order in which they were found."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Return the problems, one sentence each."""
        return self.args

    def __str__(self) -> str:
        return self.translated(str)

    def translated(self, translate: Callable[[str], str]) -> str:
        """Return the problems, each passed through `translate`."""
        problems = [translate(problem) for problem in self.problems]
        return problems[0] if len(problems) == 1 else "\n".join(f"• {problem}" for problem in problems)


@dataclass(frozen=True, slots=True)
class ValueProblem:
    """Why a value is rejected.

    `text` continues a sentence that starts with the parameter's name, or is a sentence itself if `is_sentence`.
    With `model_specific`, another model might accept the value.
    """

    text: Text
    model_specific: bool = False
    is_sentence: bool = False

    def message(self, parameter: str) -> Text:
        """Return the complete sentence for a parameter of this name."""
        if self.is_sentence:
            return self.text
        return Text("`--{parameter}` {problem}", parameter=parameter, problem=self.text)


def unsupported(typed: str, model: Model, capability: Capability) -> Text:
    """Return the problem of typed input that this model does not support."""
    return Text(
        "Cannot use {typed} with {model}: it cannot {capability}",
        typed=typed,
        model=model.name,
        capability=capability.text,
    )


def quote(text: str) -> str:
    """Quote typed text in backticks, shortened, with its own backticks replaced so that it cannot end the quote."""
    plain = unmask(text).replace("`", "ˋ")
    return f"`{plain}`" if len(plain) <= QUOTE_LIMIT else f"`{plain[: QUOTE_LIMIT - 1]}…`"
