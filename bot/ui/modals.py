"""Forms (Discord's modals) that are told by their custom_id alone, so that one may be sent in after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import discord

MAX_TEXT_LENGTH = 4000  # characters that a field of a form can hold
FILE_UPLOAD_TYPE = 19  # Discord's number of that kind of field


class PersistentModal(discord.ui.Modal):
    """A form that discord.py does not remember: what is sent in goes to who listens for its custom_id."""

    def __init__(self, custom_id: str, title: str, *fields: discord.ui.Item[Any]) -> None:
        super().__init__(title=title, custom_id=custom_id)
        for each in fields:
            self.add_item(each)
        self.stop()  # or else it would be kept for ever, also when somebody closes it without a word


@dataclass(frozen=True, slots=True)
class ModalValues:
    """A form as it was sent in: what was typed, chosen and uploaded, by the custom_ids of the fields."""

    texts: dict[str, str] = field(default_factory=dict)
    selected: dict[str, str] = field(default_factory=dict)
    files: dict[str, discord.Attachment] = field(default_factory=dict)


def parse_modal(interaction: discord.Interaction[Any]) -> ModalValues:
    """Read the fields of a form, each with one value at most."""
    data: Any = interaction.data or {}
    uploads = data.get("resolved", {}).get("attachments", {})
    parsed = ModalValues()
    for part in _fields(data.get("components", [])):
        name, values = part["custom_id"], part.get("values") or []
        if "value" in part:
            parsed.texts[name] = part["value"]
        elif values and part["type"] == FILE_UPLOAD_TYPE:
            parsed.files[name] = discord.Attachment(data=uploads[values[0]], state=interaction._state)
        elif values:
            parsed.selected[name] = values[0]
    return parsed


def _fields(components: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for part in components:
        inside = part.get("component")
        if inside is not None:
            yield inside
