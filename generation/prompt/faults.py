"""What is wrong with a prompt, in words for the person who typed it."""

from __future__ import annotations

from dataclasses import dataclass

from generation.errors import Complaint
from generation.features import Feature
from generation.models import Model
from generation.prompt.escapes import reveal

QUOTE_LIMIT = 40


class PromptFaults(Complaint):
    """Name every fault of one prompt, in the order in which they were typed."""

    @property
    def faults(self) -> tuple[str, ...]:
        """Give the faults, one sentence each."""
        return self.args

    def __str__(self) -> str:
        return self.faults[0] if len(self.faults) == 1 else "\n".join(f"• {fault}" for fault in self.faults)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a value is not taken, as the rest of a sentence that begins with the parameter's name.

    `of_model` says that another model might take it.
    """

    text: str
    of_model: bool = False


def beyond(typed: str, model: Model, feature: Feature) -> str:
    """Say that something which was typed is not for this model."""
    return f"Cannot use {typed} with {model.name}: it cannot {feature}"


def quote(text: str) -> str:
    """Show what somebody typed between backticks, short and unable to close them."""
    plain = reveal(text).replace("`", "ˋ")
    return f"`{plain}`" if len(plain) <= QUOTE_LIMIT else f"`{plain[: QUOTE_LIMIT - 1]}…`"
