"""Build messages from request bodies: files, flags, components, embeds and mentions."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from preview.api.request_body import RequestBody
from preview.state.core import FakeDiscordState
from preview.state.errors import ApiError, Problem, snowflake
from preview.state.files import UploadedFile, safe_filename
from preview.state.world import COMPONENTS_V2, EPHEMERAL, Attachment, Json, Message, walk_components
from preview.validation import components as component_rules

SETTABLE_FLAGS = (1 << 2) | EPHEMERAL | (1 << 12) | COMPONENTS_V2
EDITABLE_FLAGS = (1 << 2) | COMPONENTS_V2


@dataclass
class MessageDraft:
    """The message that a request describes, with the size limit of each attachment in bytes."""

    data: Json
    files: dict[int, UploadedFile]
    file_limit: int

    @classmethod
    def from_body(cls, body: RequestBody, file_limit: int, *, data: Json | None = None) -> MessageDraft:
        """Build the draft from a request's body; `data` is the message nested in a callback."""
        return cls((body.json or {}) if data is None else data, body.files, file_limit)


def fill_message(core: FakeDiscordState, message: Message, draft: MessageDraft, *, path_prefix: str = "") -> None:
    """Apply a draft to a new message, or to one that was empty because the bot was thinking."""
    message.flags = (message.flags & EPHEMERAL) | (int(draft.data.get("flags") or 0) & SETTABLE_FLAGS)
    _apply_draft(core, message, draft, path_prefix)


def edit_message(core: FakeDiscordState, message: Message, draft: MessageDraft, *, path_prefix: str = "") -> bool:
    """Apply an edit to a message; return whether it was loading before."""
    was_loading = message.loading
    if "flags" in draft.data:
        kept = message.flags & ~(1 << 2)
        message.flags = kept | (int(draft.data["flags"] or 0) & EDITABLE_FLAGS)
    _apply_draft(core, message, draft, path_prefix)
    message.flags &= ~(1 << 7)
    return was_loading


def _apply_draft(core: FakeDiscordState, message: Message, draft: MessageDraft, path_prefix: str) -> None:
    data = draft.data
    _check_draft(message, data, path_prefix)
    if any(len(upload.data) > draft.file_limit for upload in draft.files.values()):
        raise ApiError(40005)
    attachments = _attachments(core, message, draft)
    components = _components(data["components"] or []) if "components" in data else message.components
    embeds = list(data["embeds"] or []) if "embeds" in data else message.embeds
    _resolve_references(components, embeds, attachments)
    message.attachments, message.components, message.embeds = attachments, components, embeds
    if "content" in data:
        message.content = data["content"] or ""
    if not (message.content or attachments or components or embeds or data.get("poll")):
        raise ApiError(50006)
    core.update_mentions(message, data.get("allowed_mentions"))


def _check_draft(message: Message, data: Json, path_prefix: str) -> None:
    """Check the draft together with the remaining fields of the message."""
    problems = component_rules.check_message(data, v2=message.v2)
    if message.v2:
        for name in ("content", "embeds"):
            if name not in data and getattr(message, name):
                text = f"Existing {name} must be set to null when a message becomes Components V2."
                problems.append(Problem(name, "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", text))
    elif "components" not in data and any(
        part["type"] in component_rules.V2_ONLY for part in walk_components(message.components)
    ):
        problems.append(Problem("flags", "UNION_TYPE_CHOICES", "IS_COMPONENTS_V2 cannot be removed."))
    if problems:
        raise ApiError(50035, [Problem(f"{path_prefix}.{p.path}".strip("."), p.code, p.message) for p in problems])


def _attachments(core: FakeDiscordState, message: Message, draft: MessageDraft) -> list[Attachment]:
    """Return the attachments of the changed message: only listed ones are kept."""
    present = {each.id: each for each in message.attachments}
    listed = draft.data.get("attachments")
    if listed is None:
        if "attachments" in draft.data:
            present = {}
        listed = [{"id": key} for key in present] + [{"id": number} for number in draft.files]
    if len(listed) > 10:
        raise ApiError(50035, [Problem("attachments", "BASE_TYPE_BAD_LENGTH", "Must be between 0 and 10 in number.")])
    numbers = {snowflake(entry.get("id"), "attachments.id") for entry in listed}
    unlisted = [number for number in draft.files if number not in numbers]
    listed = [*listed, *({"id": number} for number in unlisted)]
    return [_attachment(core, message, index, entry, present, draft) for index, entry in enumerate(listed)]


def _attachment(
    core: FakeDiscordState,
    message: Message,
    index: int,
    entry: Json,
    present: dict[int, Attachment],
    draft: MessageDraft,
) -> Attachment:
    number = int(entry["id"])
    kept = present.get(number)
    if kept is not None:
        if "description" in entry:
            kept.description = entry["description"]
        return kept
    upload = draft.files.get(number)
    if upload is None:
        problem = Problem(f"attachments.{index}.id", "ATTACHMENT_NOT_FOUND", f"Attachment {number} was not uploaded")
        raise ApiError(50035, [problem])
    name = entry.get("filename") or upload.filename
    upload = UploadedFile(name, upload.data, upload.content_type)
    return store_attachment(
        core, upload, message.channel_id, ephemeral=message.ephemeral, description=entry.get("description")
    )


def store_attachment(
    core: FakeDiscordState,
    upload: UploadedFile,
    channel_id: int,
    *,
    ephemeral: bool = False,
    description: str | None = None,
) -> Attachment:
    """Store an uploaded file and return its attachment."""
    name = safe_filename(upload.filename)
    title = upload.filename.rpartition(".")[0] if name != upload.filename else None
    size = upload.image_size() or (None, None)
    attachment = Attachment(
        core.world.new_id(),
        name,
        len(upload.data),
        upload.guess_content_type(),
        size[0],
        size[1],
        description,
        title or None,
    )
    attachment.ephemeral, attachment.channel_id = ephemeral, channel_id
    core.files.put(attachment.id, upload.data)
    return attachment


# --- components as Discord stores them

_DEFAULTS: dict[int, Json] = {
    2: {"disabled": False},
    3: {"min_values": 1, "max_values": 1, "disabled": False},
    5: {"min_values": 1, "max_values": 1, "disabled": False},
    6: {"min_values": 1, "max_values": 1, "disabled": False},
    7: {"min_values": 1, "max_values": 1, "disabled": False},
    8: {"min_values": 1, "max_values": 1, "disabled": False},
    11: {"description": None, "spoiler": False},
    13: {"spoiler": False},
    14: {"spacing": 1, "divider": True},
    17: {"accent_color": None, "spoiler": False},
}
NULLABLE_FIELDS = {"accent_color", "description"}


def _components(given: list[Json]) -> list[Json]:
    """Number the components without an id and fill in Discord's defaults."""
    used_ids = {part["id"] for part in walk_components(given) if part.get("id")}
    numbers = iter(range(1, 1 << 30))

    def with_defaults(part: Json) -> Json:
        number = part.get("id") or next(each for each in numbers if each not in used_ids)
        nullable = NULLABLE_FIELDS if part["type"] in (11, 17) else set()
        out = {name: value for name, value in part.items() if value is not None or name in nullable}
        out = _DEFAULTS.get(part["type"], {}) | out | {"id": number}
        if "items" in out:
            out["items"] = [{"description": None, "spoiler": False} | item for item in out["items"]]
        if "components" in out:
            out["components"] = [with_defaults(child) for child in out["components"]]
        if "accessory" in out:
            out["accessory"] = with_defaults(out["accessory"])
        return out

    return [with_defaults(part) for part in given]


def _resolve_references(components: list[Json], embeds: list[Json], attachments: list[Attachment]) -> None:
    """Point media at attachments by name; reject names that were not uploaded."""
    for part in walk_components(components):
        for holder in (part.get("media"), part.get("file"), *(item["media"] for item in part.get("items") or [])):
            if holder:
                holder["url"] = _attachment_reference(holder["url"], attachments, "components")
    for embed in embeds:
        for place, key in (("image", "url"), ("thumbnail", "url"), ("author", "icon_url"), ("footer", "icon_url")):
            if (embed.get(place) or {}).get(key):
                embed[place][key] = _attachment_reference(embed[place][key], attachments, "embeds")


def _attachment_reference(url: str, attachments: list[Attachment], path: str) -> str:
    """Return the address to store: `attachment://NAME` for own attachments, even if given as a CDN address."""
    if url.startswith("attachment://"):
        name = safe_filename(url.removeprefix("attachment://"))
        if all(each.filename != name for each in attachments):
            code = "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND"
            raise ApiError(50035, [Problem(path, code, f"The referenced attachment {name!r} was not found.")])
        return f"attachment://{name}"
    pieces = urlsplit(url).path.split("/")
    own = next((each for each in attachments if str(each.id) in pieces), None)
    return f"attachment://{own.filename}" if own else url
