"""What is wrong with a prompt, in words for the person who typed it."""

from __future__ import annotations

from dataclasses import dataclass

from generation.errors import UserError
from generation.models.capabilities import Capability
from generation.models.model import Model
from generation.prompt.syntax import unmask

QUOTE_LIMIT = 40


class PromptError(UserError):
    """Name every fault of one prompt, in the order in which they were typed."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Give the faults, one sentence each."""
        return self.args

    def __str__(self) -> str:
        return self.problems[0] if len(self.problems) == 1 else "\n".join(f"• {fault}" for fault in self.problems)


@dataclass(frozen=True, slots=True)
class ValueProblem:
    """Why a value is not taken, as the rest of a sentence that begins with the parameter's name.

    `of_model` says that another model might take it.
    """

    text: str
    model_specific: bool = False


def unsupported(typed: str, model: Model, capability: Capability) -> str:
    """Say that something which was typed is not for this model."""
    return f"Cannot use {typed} with {model.name}: it cannot {capability}"


def quote(text: str) -> str:
    """Show what somebody typed between backticks, short and unable to close them."""
    plain = unmask(text).replace("`", "ˋ")
    return f"`{plain}`" if len(plain) <= QUOTE_LIMIT else f"`{plain[: QUOTE_LIMIT - 1]}…`"
