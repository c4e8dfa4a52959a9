"""Rules for request bodies that Discord enforces and its OpenAPI file cannot say, with the limits around them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

from preview.errors import Problem
from preview.world import COMPONENTS_V2, EPHEMERAL, Json, walk

_LOCALES = (
    "ar bg cs da de el en-GB en-US es-419 es-ES fi fr he hi hr hu id it ja ko lt nl no pl pt-BR ro ru sv-SE th tr uk "
    "vi zh-CN zh-TW"
)
LOCALES = frozenset(_LOCALES.split())
ROW, BUTTON, STRING_SELECT, TEXT_INPUT = 1, 2, 3, 4
SELECTS = (3, 5, 6, 7, 8)
SECTION, TEXT_DISPLAY, THUMBNAIL, GALLERY, FILE, SEPARATOR, CONTAINER = 9, 10, 11, 12, 13, 14, 17
LABEL, FILE_UPLOAD = 18, 19
V2_ONLY = (SECTION, TEXT_DISPLAY, THUMBNAIL, GALLERY, FILE, SEPARATOR, CONTAINER)
MODAL_FIELDS = (*SELECTS, TEXT_INPUT, FILE_UPLOAD, 21, 22, 23)
LINK, PREMIUM = 5, 6
CHAT_INPUT = 1
COMMANDS_PER_SCOPE = {1: 100, 2: 15, 3: 15}

Problems = Iterator[Problem]


def _length(path: str, value: object, least: int, most: int) -> Problems:
    if isinstance(value, (str, list)) and not least <= len(value) <= most:
        unit = "in length" if isinstance(value, str) else "in number"
        yield Problem(path, "BASE_TYPE_BAD_LENGTH", f"Must be between {least} and {most} {unit}.")


def _required(path: str, part: Json, *names: str) -> Problems:
    for name in names:
        if part.get(name) in (None, ""):
            yield Problem(f"{path}.{name}".strip("."), "BASE_TYPE_REQUIRED", "This field is required")


def _forbidden(path: str, part: Json, code: str, *names: str) -> Problems:
    for name in names:
        if part.get(name):
            yield Problem(f"{path}.{name}".strip("."), code, f"`{name}` is not allowed here")


# --- messages


def check_message(body: Json, *, v2: bool) -> list[Problem]:
    """Check a message to be posted, or an edit; `v2` tells whether the result is made of Components V2."""
    problems = [
        *_length("content", body.get("content"), 0, 2000),
        *_length("attachments", body.get("attachments"), 0, 10),
    ]
    problems += _embeds(body.get("embeds") or [])
    problems += _components(body.get("components") or [], v2=v2)
    for index, attachment in enumerate(body.get("attachments") or []):
        for name in ("filename", "description"):
            problems += _length(f"attachments.{index}.{name}", attachment.get(name), 0, 1024)
    if v2:
        code = "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"
        problems += _forbidden("", body, code, "content", "embeds", "poll", "sticker_ids")
    return problems + list(_allowed_mentions(body.get("allowed_mentions") or {}))


def _allowed_mentions(allowed: Json) -> Problems:
    for name in ("users", "roles"):
        yield from _length(f"allowed_mentions.{name}", allowed.get(name), 0, 100)
        if name in (allowed.get("parse") or []) and allowed.get(name):
            message = f"parse:[{name!r}] and {name}: [ids...] are mutually exclusive."
            yield Problem("allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", message)


def _embeds(embeds: list[Json]) -> Problems:
    yield from _length("embeds", embeds, 0, 10)
    for index, embed in enumerate(embeds):
        yield from _embed(f"embeds.{index}", embed)
    if sum(map(_embed_length, embeds)) > 6000:
        yield Problem("embeds", "MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of 6000")


def _embed(path: str, embed: Json) -> Problems:
    yield from _length(f"{path}.title", embed.get("title"), 0, 256)
    yield from _length(f"{path}.description", embed.get("description"), 0, 4096)
    yield from _length(f"{path}.footer.text", (embed.get("footer") or {}).get("text"), 0, 2048)
    yield from _length(f"{path}.author.name", (embed.get("author") or {}).get("name"), 0, 256)
    yield from _length(f"{path}.fields", embed.get("fields"), 0, 25)
    for index, each in enumerate(embed.get("fields") or []):
        yield from _required(f"{path}.fields.{index}", each, "name", "value")
        yield from _length(f"{path}.fields.{index}.name", each.get("name"), 0, 256)
        yield from _length(f"{path}.fields.{index}.value", each.get("value"), 0, 1024)
    if not 0 <= (embed.get("color") or 0) <= 0xFFFFFF:
        yield Problem(f"{path}.color", "NUMBER_TYPE_MAX", "int value should be between 0 and 16777215.")
    for place, name in (("image", "url"), ("thumbnail", "url"), ("author", "icon_url"), ("footer", "icon_url")):
        yield from _address(f"{path}.{place}.{name}", (embed.get(place) or {}).get(name), attachment=True)
    yield from _address(f"{path}.url", embed.get("url"), attachment=False)


def _embed_length(embed: Json) -> int:
    texts = [embed.get("title"), embed.get("description"), (embed.get("footer") or {}).get("text")]
    texts += [(embed.get("author") or {}).get("name")]
    texts += [text for each in embed.get("fields") or [] for text in (each.get("name"), each.get("value"))]
    return sum(len(text) for text in texts if text)


def _address(path: str, url: str | None, *, attachment: bool) -> Problems:
    schemes = ("http://", "https://", *(("attachment://",) if attachment else ()))
    if url and not url.startswith(schemes):
        yield Problem(path, "URL_TYPE_INVALID_SCHEME", f"Scheme must be one of {schemes}.")


# --- components of messages


def _components(components: list[Json], *, v2: bool) -> Problems:
    everything = list(walk(components))
    yield from _duplicates("components", everything)
    for index, component in enumerate(components):
        yield from _component(f"components.{index}", component, v2=v2, inside=None)
    if not v2:
        yield from _length("components", components, 0, 5)
    elif len(everything) > 40:
        yield Problem("components", "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED", "The total number of components is 40.")
    if v2 and sum(len(part.get("content") or "") for part in everything if part.get("type") == TEXT_DISPLAY) > 4000:
        code = "COMPONENT_MAX_TOTAL_TEXT_SIZE_EXCEEDED"
        yield Problem("components", code, "The total text of all components is limited to 4000 characters.")


def _duplicates(path: str, everything: list[Json]) -> Problems:
    for name, code in (("custom_id", "COMPONENT_CUSTOM_ID_DUPLICATED"), ("id", "COMPONENT_ID_DUPLICATED")):
        counts = Counter(part[name] for part in everything if part.get(name))
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
            place = f"{path}.{name}.{index}" if isinstance(nested, list) else f"{path}.{name}"
            yield from _component(place, child, v2=v2, inside=-SECTION if name == "accessory" else kind)


def _row(path: str, part: Json) -> Problems:
    children = part.get("components") or []
    kinds = {child.get("type") for child in children}
    yield from _length(f"{path}.components", children, 1, 5)
    if kinds & set(SELECTS) and len(children) > 1:
        yield Problem(f"{path}.components", "COMPONENT_LAYOUT_WIDTH_EXCEEDED", "A select fills a whole row.")


def _button(path: str, part: Json) -> Problems:
    yield from _length(f"{path}.label", part.get("label"), 0, 80)
    yield from _length(f"{path}.custom_id", part.get("custom_id"), 1, 100)
    yield from _length(f"{path}.url", part.get("url"), 1, 512)
    yield from _address(f"{path}.url", part.get("url"), attachment=False)
    style = part.get("style")
    code = "BUTTON_COMPONENT_INVALID_FIELDS"
    if style == LINK:
        yield from _required(path, part, "url")
        yield from _forbidden(path, part, code, "custom_id", "sku_id")
    elif style == PREMIUM:
        yield from _required(path, part, "sku_id")
        yield from _forbidden(path, part, code, "custom_id", "url", "label", "emoji")
    else:
        yield from _required(path, part, "style", "custom_id")
        yield from _forbidden(path, part, code, "url", "sku_id")
    if style != PREMIUM and not (part.get("label") or part.get("emoji")):
        yield Problem(path, "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED", "A button needs a label or an emoji.")
    yield from _emoji(f"{path}.emoji", part.get("emoji"))


def _emoji(path: str, emoji: Json | None) -> Problems:
    """Refuse plain text as an emoji; only `#`, `*` and digits are ASCII in keycap emoji."""
    if emoji and not emoji.get("id") and (emoji.get("name") or "").isascii():
        yield Problem(f"{path}.name", "BUTTON_COMPONENT_INVALID_EMOJI", "Invalid emoji")


def _select(path: str, part: Json) -> Problems:
    yield from _required(path, part, "custom_id")
    yield from _length(f"{path}.custom_id", part.get("custom_id"), 1, 100)
    yield from _length(f"{path}.placeholder", part.get("placeholder"), 0, 150)
    least, most = part.get("min_values", 1), part.get("max_values", 1)
    if least is not None and most is not None and not 0 <= least <= most <= 25:
        yield Problem(
            path, "SELECT_COMPONENT_INVALID_RANGE", "min_values and max_values must satisfy 0 <= min <= max <= 25."
        )
    if part.get("type") != STRING_SELECT:
        return
    options = part.get("options") or []
    yield from _length(f"{path}.options", options, 1, 25)
    for index, option in enumerate(options):
        for name in ("label", "value"):
            yield from _required(f"{path}.options.{index}", option, name)
        for name in ("label", "value", "description"):
            yield from _length(f"{path}.options.{index}.{name}", option.get(name), 0, 100)
        yield from _emoji(f"{path}.options.{index}.emoji", option.get("emoji"))
    if len({option.get("value") for option in options}) < len(options):
        yield Problem(f"{path}.options", "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED", "Option values must be unique.")


def _section(path: str, part: Json) -> Problems:
    yield from _length(f"{path}.components", part.get("components") or [], 1, 3)
    yield from _required(path, part, "accessory")


def _text_display(path: str, part: Json) -> Problems:
    yield from _length(f"{path}.content", part.get("content") or "", 1, 4000)


def _gallery(path: str, part: Json) -> Problems:
    items = part.get("items") or []
    yield from _length(f"{path}.items", items, 1, 10)
    for index, item in enumerate(items):
        yield from _media(f"{path}.items.{index}", item)


def _media(path: str, part: Json) -> Problems:
    yield from _length(f"{path}.description", part.get("description"), 0, 1024)
    yield from _required(path, part, "media")
    yield from _address(f"{path}.media.url", (part.get("media") or {}).get("url"), attachment=True)


def _file(path: str, part: Json) -> Problems:
    if not str((part.get("file") or {}).get("url")).startswith("attachment://"):
        yield Problem(f"{path}.file.url", "URL_TYPE_INVALID_SCHEME", "Only attachment:// is supported.")


def _container(path: str, part: Json) -> Problems:
    if not part.get("components"):
        yield Problem(f"{path}.components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 40 in length.")


def _nothing(path: str, part: Json) -> Problems:
    yield from ()


_CHECKS: dict[int, Callable[[str, Json], Problems]] = {
    ROW: _row,
    BUTTON: _button,
    **dict.fromkeys(SELECTS, _select),
    SECTION: _section,
    TEXT_DISPLAY: _text_display,
    THUMBNAIL: _media,
    GALLERY: _gallery,
    FILE: _file,
    SEPARATOR: _nothing,
    CONTAINER: _container,
}
_TOP = (ROW, SECTION, TEXT_DISPLAY, GALLERY, FILE, SEPARATOR)
_ALLOWED_INSIDE: dict[int | None, tuple[int, ...]] = {
    None: (*_TOP, CONTAINER),
    CONTAINER: _TOP,
    ROW: (BUTTON, *SELECTS),
    SECTION: (TEXT_DISPLAY,),
    -SECTION: (BUTTON, THUMBNAIL),
}


# --- interaction callbacks and modals

COMPONENT_ONLY_CALLBACKS = (6, 7)


def check_callback(body: Json, *, v2: bool = False) -> list[Problem]:
    """Check the first answer to an interaction."""
    kind, data = body.get("type"), body.get("data") or {}
    if kind in (4, 7):
        return [_under("data", one) for one in check_message(data, v2=v2 or _wants_v2(data))]
    if kind == 5:
        return list(_deferral(data))
    if kind == 8:
        return [_under("data", one) for one in _choices("choices", data.get("choices") or [])]
    return [_under("data", one) for one in check_modal(data)] if kind == 9 else []


def _wants_v2(data: Json) -> bool:
    return bool((data.get("flags") or 0) & COMPONENTS_V2)


def _under(root: str, problem: Problem) -> Problem:
    return Problem(f"{root}.{problem.path}".strip("."), problem.code, problem.message)


def _deferral(data: Json) -> Problems:
    code = "INTERACTION_RESPONSE_DEFER_INVALID"
    for name in ("content", "embeds", "components", "attachments", "poll"):
        yield from (_under("data", one) for one in _forbidden("", data, code, name))
    if (data.get("flags") or 0) & ~EPHEMERAL:
        yield Problem("data.flags", code, "A deferred message takes no flag but EPHEMERAL.")


def check_modal(data: Json) -> list[Problem]:
    """Check the form of a modal."""
    components = data.get("components") or []
    problems = [*_required("", data, "custom_id", "title")]
    problems += _length("custom_id", data.get("custom_id"), 1, 100)
    problems += _length("title", data.get("title"), 1, 45)
    problems += _length("components", components, 1, 5)
    problems += _duplicates("components", list(walk(components)))
    for index, part in enumerate(components):
        problems += _modal_part(f"components.{index}", part)
    return problems


def _modal_part(path: str, part: Json) -> Problems:
    kind = part.get("type")
    if kind == TEXT_DISPLAY:
        yield from _text_display(path, part)
    elif kind == LABEL:
        yield from _required(path, part, "label", "component")
        yield from _length(f"{path}.label", part.get("label"), 1, 45)
        yield from _length(f"{path}.description", part.get("description"), 0, 100)
        yield from _modal_field(f"{path}.component", part.get("component") or {}, labelled=True)
    elif kind == ROW:
        yield from _length(f"{path}.components", part.get("components") or [], 1, 1)
        for child in part.get("components") or []:
            yield from _modal_field(f"{path}.components.0", child, labelled=False)
    else:
        yield Problem(f"{path}.type", "UNION_TYPE_CHOICES", f"Component type {kind} cannot be placed in a modal.")


def _modal_field(path: str, part: Json, *, labelled: bool) -> Problems:
    kind = part.get("type")
    allowed = MODAL_FIELDS if labelled else (TEXT_INPUT,)
    if kind not in allowed:
        yield Problem(f"{path}.type", "UNION_TYPE_CHOICES", f"Component type {kind} cannot be placed here.")
    yield from _forbidden(path, part, "COMPONENT_DISABLED_IN_MODAL", "disabled")
    yield from _required(path, part, "custom_id")
    yield from _length(f"{path}.custom_id", part.get("custom_id"), 1, 100)
    if kind in SELECTS:
        yield from _select(path, part)
    if kind == FILE_UPLOAD and not 0 <= (part.get("min_values") or 0) <= (part.get("max_values") or 1) <= 10:
        yield Problem(
            path, "FILE_UPLOAD_INVALID_RANGE", "min_values and max_values must satisfy 0 <= min <= max <= 10."
        )
    if kind != TEXT_INPUT:
        return
    yield from _required(path, part, "style", *(() if labelled else ("label",)))
    yield from _length(f"{path}.label", part.get("label"), 0, 45)
    yield from _length(f"{path}.placeholder", part.get("placeholder"), 0, 100)
    yield from _length(f"{path}.value", part.get("value"), 0, 4000)


# --- application commands

_SLASH_NAME = re.compile(r"[-_'\w\u0900-\u097F\u0E00-\u0E7F]{1,32}")


def check_commands(commands: list[Json]) -> list[Problem]:
    """Check all commands of one scope, as `PUT` sends them."""
    problems: list[Problem] = []
    for index, command in enumerate(commands):
        problems += check_command(command, str(index))
    kinds = Counter(command.get("type") or CHAT_INPUT for command in commands)
    for kind, most in COMMANDS_PER_SCOPE.items():
        if kinds[kind] > most:
            problems.append(Problem("", "APPLICATION_COMMANDS_TOO_MANY", f"At most {most} commands of type {kind}."))
    names = Counter((command.get("type") or CHAT_INPUT, command.get("name")) for command in commands)
    for (_, name), count in names.items():
        if count > 1:
            problems.append(Problem("", "APPLICATION_COMMANDS_DUPLICATE_NAME", f"{name!r} is there {count} times."))
    return problems


def check_command(command: Json, path: str = "") -> list[Problem]:
    """Check one command."""
    kind = command.get("type") or CHAT_INPUT
    problems = [*_localized(path, command)]
    if kind == CHAT_INPUT:
        problems += _named(path, command)
        problems += _options(path, command.get("options") or [])
    else:
        problems += _length(f"{path}.name", command.get("name"), 1, 32)
        problems += _forbidden(path, command, "APPLICATION_COMMAND_FIELD_NOT_ALLOWED", "description", "options")
    if _command_length(command) > 8000:
        code = "APPLICATION_COMMAND_TOO_LARGE"
        problems.append(Problem(path, code, "Command exceeds maximum size (8000)"))
    return problems


def _named(path: str, part: Json) -> Problems:
    """Check the name and description of a slash command, subcommand or option."""
    name = part.get("name") or ""
    if not _SLASH_NAME.fullmatch(name) or name != name.lower():
        yield Problem(f"{path}.name".strip("."), "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
    yield from _required(path, part, "description")
    yield from _length(f"{path}.description", part.get("description"), 1, 100)


def _localized(path: str, part: Json) -> Problems:
    for name, most in (("name_localizations", 32), ("description_localizations", 100)):
        for locale, text in (part.get(name) or {}).items():
            place = f"{path}.{name}.{locale}".strip(".")
            if locale not in LOCALES:
                yield Problem(place, "ENUM_TYPE_COERCE", f'Value "{locale}" is not a valid enum value.')
            yield from _length(place, text, 1, most)


def _options(path: str, options: list[Json]) -> Problems:
    yield from _length(f"{path}.options", options, 0, 25)
    optional_seen = False
    for index, option in enumerate(options):
        place = f"{path}.options.{index}".strip(".")
        yield from _option(place, option)
        if option.get("required") and optional_seen:
            code = "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID"
            yield Problem(place, code, "Required options must be placed before non-required options")
        optional_seen |= not option.get("required")
    names = Counter(option.get("name") for option in options)
    if any(count > 1 for count in names.values()):
        code = "APPLICATION_COMMAND_OPTIONS_NAME_ALREADY_EXISTS"
        yield Problem(f"{path}.options".strip("."), code, "Option name already exists")
    if len({option.get("type") in (1, 2) for option in options}) > 1:
        code = "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID"
        yield Problem(
            f"{path}.options".strip("."), code, "Sub-command and sub-command group option types are exclusive"
        )


def _option(path: str, option: Json) -> Problems:
    yield from _named(path, option)
    yield from _localized(path, option)
    choices = option.get("choices") or []
    if option.get("autocomplete") and choices:
        yield Problem(path, "APPLICATION_COMMAND_OPTIONS_CHOICES_AUTOCOMPLETE", "Choices cannot be autocompleted")
    yield from _choices(f"{path}.choices", choices)
    if (
        option.get("type") == 3
        and not 0 <= (option.get("min_length") or 0) <= (option.get("max_length") or 6000) <= 6000
    ):
        yield Problem(path, "APPLICATION_COMMAND_OPTION_LENGTH_INVALID", "Lengths must be between 0 and 6000.")
    if option.get("type") in (1, 2):
        yield from _options(path, option.get("options") or [])


def _choices(path: str, choices: list[Json]) -> Problems:
    yield from _length(path, choices, 0, 25)
    for index, choice in enumerate(choices):
        yield from _length(f"{path}.{index}.name", choice.get("name"), 1, 100)
        yield from _length(f"{path}.{index}.value", choice.get("value"), 0, 100)
        yield from _localized(f"{path}.{index}", choice)


def _command_length(part: Json) -> int:
    """Count the characters that Discord counts towards 8000; of translations only the longest."""
    own = 0
    for name in ("name", "description"):
        own += max(len(text) for text in [part.get(name) or "", *(part.get(f"{name}_localizations") or {}).values()])
    for choice in part.get("choices") or []:
        own += max(len(text) for text in [choice.get("name") or "", *(choice.get("name_localizations") or {}).values()])
        own += len(str(choice.get("value")))
    return own + sum(_command_length(option) for option in part.get("options") or [])
