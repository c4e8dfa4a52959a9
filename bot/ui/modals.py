"""Modals that are recognised by their custom_id alone, so that they can be submitted after a restart."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import discord

from bot.ui.errors import report_errors

MAX_TEXT_LENGTH = 4000  # characters that a text input can hold
FILE_UPLOAD_TYPE = 19  # Discord's number of the file upload component


class PersistentModal(discord.ui.Modal):
    """A modal that discord.py does not remember: its submission reaches the `ModalRouter`."""

    def __init__(self, custom_id: str, title: str, *fields: discord.ui.Item[Any]) -> None:
        super().__init__(title=title, custom_id=custom_id)
        for each in fields:
            self.add_item(each)
        self.stop()  # otherwise discord.py would keep a dismissed modal forever


@dataclass(frozen=True, slots=True)
class ModalValues:
    """The texts, selections and uploads of a submitted modal, by the custom_ids of its fields."""

    texts: dict[str, str] = field(default_factory=dict)
    selected: dict[str, str] = field(default_factory=dict)
    files: dict[str, discord.Attachment] = field(default_factory=dict)


ModalHandler = Callable[[Any, str, ModalValues], Awaitable[None]]


class ModalRouter:
    """Send each submitted modal to the handler with the longest prefix of its custom_id, in whole `a:b:c` parts."""

    def __init__(self) -> None:
        self._handlers: dict[str, ModalHandler] = {}

    def route(self, prefix: str) -> Callable[[ModalHandler], ModalHandler]:
        """Register a handler: it gets the interaction, the custom_id after its first colon, and the values.

        Raises ValueError for a prefix that has a handler already.
        """

        def register(handler: ModalHandler) -> ModalHandler:
            if prefix in self._handlers:
                raise ValueError(f"two handlers for the modal {prefix!r}")
            self._handlers[prefix] = handler
            return handler

        return register

    def find(self, custom_id: str) -> ModalHandler | None:
        """Return the handler for a custom_id."""
        parts = custom_id.split(":")
        prefixes = (":".join(parts[:length]) for length in range(len(parts), 0, -1))
        return next((self._handlers[prefix] for prefix in prefixes if prefix in self._handlers), None)

    async def dispatch(self, interaction: discord.Interaction[Any]) -> None:
        """Handle a submitted modal; other interactions and unknown modals are ignored."""
        if interaction.type is not discord.InteractionType.modal_submit:
            return
        data: Any = interaction.data
        custom_id = str(data["custom_id"])
        if handler := self.find(custom_id):
            async with report_errors(interaction):
                await handler(interaction, custom_id.partition(":")[2], parse_modal(interaction))


modals = ModalRouter()


def parse_modal(interaction: discord.Interaction[Any]) -> ModalValues:
    """Read the fields of a submitted modal, each with at most one value."""
    data: Any = interaction.data or {}
    uploads = data.get("resolved", {}).get("attachments", {})
    submitted = ModalValues()
    for component in _fields(data.get("components", [])):
        name, values = component["custom_id"], component.get("values") or []
        if "value" in component:
            submitted.texts[name] = component["value"]
        elif values and component["type"] == FILE_UPLOAD_TYPE:
            submitted.files[name] = discord.Attachment(data=uploads[values[0]], state=interaction._state)
        elif values:
            submitted.selected[name] = values[0]
    return submitted


def _fields(components: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for label in components:
        component = label.get("component")
        if component is not None:
            yield component
