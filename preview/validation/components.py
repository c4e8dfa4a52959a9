"""Rules for messages that Discord's OpenAPI file cannot express, and the related limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from preview.state.errors import Problem
from preview.state.world import Json, walk_components
from preview.validation.checks import Problems, forbidden, length, required, url_scheme

ROW, BUTTON, STRING_SELECT, TEXT_INPUT = 1, 2, 3, 4
SELECTS = (3, 5, 6, 7, 8)
SECTION, TEXT_DISPLAY, THUMBNAIL, GALLERY, FILE, SEPARATOR, CONTAINER = 9, 10, 11, 12, 13, 14, 17
LABEL, FILE_UPLOAD = 18, 19
V2_ONLY = (SECTION, TEXT_DISPLAY, THUMBNAIL, GALLERY, FILE, SEPARATOR, CONTAINER)
LINK, PREMIUM = 5, 6


def check_message(body: Json, *, v2: bool) -> list[Problem]:
    """Return the problems of a new message or an edit; `v2` is whether the result is made of Components V2."""
    problems = [
        *length("content", body.get("content"), 0, 2000),
        *length("attachments", body.get("attachments"), 0, 10),
    ]
    problems += _embeds(body.get("embeds") or [])
    problems += _components(body.get("components") or [], v2=v2)
    for index, attachment in enumerate(body.get("attachments") or []):
        for name in ("filename", "description"):
            problems += length(f"attachments.{index}.{name}", attachment.get(name), 0, 1024)
    if v2:
        code = "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"
        problems += forbidden("", body, code, "content", "embeds", "poll", "sticker_ids")
    return problems + list(_allowed_mentions(body.get("allowed_mentions") or {}))


def _allowed_mentions(allowed: Json) -> Problems:
    for name in ("users", "roles"):
        yield from length(f"allowed_mentions.{name}", allowed.get(name), 0, 100)
        if len(set(map(str, allowed.get(name) or []))) < len(allowed.get(name) or []):
            yield Problem(f"allowed_mentions.{name}", "SET_TYPE_CONTAINS_DUPLICATES", "The set contains duplicates")
        if name in (allowed.get("parse") or []) and allowed.get(name):
            message = f"parse:[{name!r}] and {name}: [ids...] are mutually exclusive."
            yield Problem("allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", message)


def _embeds(embeds: list[Json]) -> Problems:
    yield from length("embeds", embeds, 0, 10)
    for index, embed in enumerate(embeds):
        yield from _embed(f"embeds.{index}", embed)
    if sum(map(_embed_length, embeds)) > 6000:
        yield Problem("embeds", "MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of 6000")


def _embed(path: str, embed: Json) -> Problems:
    yield from length(f"{path}.title", embed.get("title"), 0, 256)
    yield from length(f"{path}.description", embed.get("description"), 0, 4096)
    yield from length(f"{path}.footer.text", (embed.get("footer") or {}).get("text"), 0, 2048)
    yield from length(f"{path}.author.name", (embed.get("author") or {}).get("name"), 0, 256)
    yield from length(f"{path}.fields", embed.get("fields"), 0, 25)
    for index, each in enumerate(embed.get("fields") or []):
        yield from required(f"{path}.fields.{index}", each, "name", "value")
        yield from length(f"{path}.fields.{index}.name", each.get("name"), 0, 256)
        yield from length(f"{path}.fields.{index}.value", each.get("value"), 0, 1024)
    if not 0 <= (embed.get("color") or 0) <= 0xFFFFFF:
        yield Problem(f"{path}.color", "NUMBER_TYPE_MAX", "int value should be between 0 and 16777215.")
    for place, name in (("image", "url"), ("thumbnail", "url"), ("author", "icon_url"), ("footer", "icon_url")):
        yield from url_scheme(f"{path}.{place}.{name}", (embed.get(place) or {}).get(name), attachment=True)
    yield from url_scheme(f"{path}.url", embed.get("url"), attachment=False)


def _embed_length(embed: Json) -> int:
    texts = [embed.get("title"), embed.get("description"), (embed.get("footer") or {}).get("text")]
    texts += [(embed.get("author") or {}).get("name")]
    texts += [text for each in embed.get("fields") or [] for text in (each.get("name"), each.get("value"))]
    return sum(len(text) for text in texts if text)


# --- components of messages


def _components(components: list[Json], *, v2: bool) -> Problems:
    all_components = list(walk_components(components))
    yield from check_duplicates("components", all_components)
    for index, component in enumerate(components):
        yield from _component(f"components.{index}", component, v2=v2, inside=None)
    if not v2:
        yield from length("components", components, 0, 5)
    elif len(all_components) > 40:
        yield Problem("components", "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED", "The total number of components is 40.")
    if v2 and sum(len(part.get("content") or "") for part in all_components if part.get("type") == TEXT_DISPLAY) > 4000:
        code = "COMPONENT_MAX_TOTAL_TEXT_SIZE_EXCEEDED"
        yield Problem("components", code, "The total text of all components is limited to 4000 characters.")


def check_duplicates(path: str, components: list[Json]) -> Problems:
    """Check that custom ids and numeric ids are unique."""
    for name, code in (("custom_id", "COMPONENT_CUSTOM_ID_DUPLICATED"), ("id", "COMPONENT_ID_DUPLICATED")):
        counts = Counter(part[name] for part in components if part.get(name))
        for value, count in counts.items():
            if count > 1:
                yield Problem(path, code, f"Component {name} {value!r} is used {count} times.")


def _component(path: str, part: Json, *, v2: bool, inside: int | None) -> Problems:
    kind = part.get("type")
    if kind in V2_ONLY and not v2:
        yield Problem(path, "UNION_TYPE_CHOICES", f"Component type {kind} needs the flag IS_COMPONENTS_V2.")
    elif kind not in _ALLOWED_INSIDE.get(inside, ()):
        yield Problem(f"{path}.type", "UNION_TYPE_CHOICES", f"Component type {kind} cannot be placed here.")
    else:
        yield from _CHECKS[kind](path, part)
    for name in ("components", "accessory"):
        nested = part.get(name) or []
        for index, child in enumerate(nested if isinstance(nested, list) else [nested]):
            child_path = f"{path}.{name}.{index}" if isinstance(nested, list) else f"{path}.{name}"
            yield from _component(child_path, child, v2=v2, inside=-SECTION if name == "accessory" else kind)


def _row(path: str, part: Json) -> Problems:
    children = part.get("components") or []
    kinds = {child.get("type") for child in children}
    yield from length(f"{path}.components", children, 1, 5)
    if kinds & set(SELECTS) and len(children) > 1:
        yield Problem(f"{path}.components", "COMPONENT_LAYOUT_WIDTH_EXCEEDED", "A select fills a whole row.")


def _button(path: str, part: Json) -> Problems:
    yield from length(f"{path}.label", part.get("label"), 0, 80)
    yield from length(f"{path}.custom_id", part.get("custom_id"), 1, 100)
    yield from length(f"{path}.url", part.get("url"), 1, 512)
    yield from url_scheme(f"{path}.url", part.get("url"), attachment=False)
    style = part.get("style")
    code = "BUTTON_COMPONENT_INVALID_FIELDS"
    if style == LINK:
        yield from required(path, part, "url")
        yield from forbidden(path, part, code, "custom_id", "sku_id")
    elif style == PREMIUM:
        yield from required(path, part, "sku_id")
        yield from forbidden(path, part, code, "custom_id", "url", "label", "emoji")
    else:
        yield from required(path, part, "style", "custom_id")
        yield from forbidden(path, part, code, "url", "sku_id")
    if style != PREMIUM and not (part.get("label") or part.get("emoji")):
        yield Problem(path, "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED", "A button needs a label or an emoji.")
    yield from _emoji(f"{path}.emoji", part.get("emoji"))


def _emoji(path: str, emoji: Json | None) -> Problems:
    """Reject plain text as an emoji. A keycap emoji begins with an ASCII character but is not all ASCII."""
    if emoji and not emoji.get("id") and (emoji.get("name") or "").isascii():
        yield Problem(f"{path}.name", "BUTTON_COMPONENT_INVALID_EMOJI", "Invalid emoji")


def check_select(path: str, part: Json) -> Problems:
    """Check a select of a message or a modal."""
    yield from required(path, part, "custom_id")
    yield from length(f"{path}.custom_id", part.get("custom_id"), 1, 100)
    yield from length(f"{path}.placeholder", part.get("placeholder"), 0, 150)
    minimum, maximum = part.get("min_values", 1), part.get("max_values", 1)
    if minimum is not None and maximum is not None and not 0 <= minimum <= maximum <= 25:
        yield Problem(
            path, "SELECT_COMPONENT_INVALID_RANGE", "min_values and max_values must satisfy 0 <= min <= max <= 25."
        )
    if part.get("type") != STRING_SELECT:
        return
    options = part.get("options") or []
    yield from length(f"{path}.options", options, 1, 25)
    for index, option in enumerate(options):
        for name in ("label", "value"):
            yield from required(f"{path}.options.{index}", option, name)
        for name in ("label", "value", "description"):
            yield from length(f"{path}.options.{index}.{name}", option.get(name), 0, 100)
        yield from _emoji(f"{path}.options.{index}.emoji", option.get("emoji"))
    if len({option.get("value") for option in options}) < len(options):
        yield Problem(f"{path}.options", "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED", "Option values must be unique.")


def _section(path: str, part: Json) -> Problems:
    yield from length(f"{path}.components", part.get("components") or [], 1, 3)
    yield from required(path, part, "accessory")


def check_text_display(path: str, part: Json) -> Problems:
    """Check a text display."""
    yield from length(f"{path}.content", part.get("content") or "", 1, 4000)


def _gallery(path: str, part: Json) -> Problems:
    items = part.get("items") or []
    yield from length(f"{path}.items", items, 1, 10)
    for index, item in enumerate(items):
        yield from _media(f"{path}.items.{index}", item)


def _media(path: str, part: Json) -> Problems:
    yield from length(f"{path}.description", part.get("description"), 0, 1024)
    media = part.get("media") or {}
    yield from required(f"{path}.media", media, "url")
    yield from url_scheme(f"{path}.media.url", media.get("url"), attachment=True)


def _file(path: str, part: Json) -> Problems:
    if not str((part.get("file") or {}).get("url")).startswith("attachment://"):
        yield Problem(f"{path}.file.url", "URL_TYPE_INVALID_SCHEME", "Only attachment:// is supported.")


def _container(path: str, part: Json) -> Problems:
    if not part.get("components"):
        yield Problem(f"{path}.components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 40 in length.")


def _no_checks(path: str, part: Json) -> Problems:
    yield from ()


_CHECKS: dict[int, Callable[[str, Json], Problems]] = {
    ROW: _row,
    BUTTON: _button,
    **dict.fromkeys(SELECTS, check_select),
    SECTION: _section,
    TEXT_DISPLAY: check_text_display,
    THUMBNAIL: _media,
    GALLERY: _gallery,
    FILE: _file,
    SEPARATOR: _no_checks,
    CONTAINER: _container,
}
_TOP_LEVEL = (ROW, SECTION, TEXT_DISPLAY, GALLERY, FILE, SEPARATOR)
_ALLOWED_INSIDE: dict[int | None, tuple[int, ...]] = {
    None: (*_TOP_LEVEL, CONTAINER),
    CONTAINER: _TOP_LEVEL,
    ROW: (BUTTON, *SELECTS),
    SECTION: (TEXT_DISPLAY,),
    -SECTION: (BUTTON, THUMBNAIL),
}
