"""Rules for application commands."""

from __future__ import annotations

import re
from collections import Counter

from preview.state.errors import Problem
from preview.state.world import Json
from preview.validation.checks import Problems, forbidden, length, required

_LOCALES = (
    "ar bg cs da de el en-GB en-US es-419 es-ES fi fr he hi hr hu id it ja ko lt nl no pl pt-BR ro ru sv-SE th tr uk "
    "vi zh-CN zh-TW"
)
LOCALES = frozenset(_LOCALES.split())
CHAT_INPUT = 1
COMMANDS_PER_SCOPE = {1: 100, 2: 15, 3: 15}
_SLASH_NAME = re.compile(r"[-_'\w\u0900-\u097F\u0E00-\u0E7F]{1,32}")


def check_commands(commands: list[Json]) -> list[Problem]:
    """Return the problems of all commands of one scope, as sent by `PUT`."""
    problems: list[Problem] = []
    for index, command in enumerate(commands):
        problems += check_command(command, str(index))
    kinds = Counter(command.get("type") or CHAT_INPUT for command in commands)
    for kind, maximum in COMMANDS_PER_SCOPE.items():
        if kinds[kind] > maximum:
            problems.append(Problem("", "APPLICATION_COMMANDS_TOO_MANY", f"At most {maximum} commands of type {kind}."))
    names = Counter((command.get("type") or CHAT_INPUT, command.get("name")) for command in commands)
    for (_, name), count in names.items():
        if count > 1:
            problems.append(Problem("", "APPLICATION_COMMANDS_DUPLICATE_NAME", f"{name!r} is used {count} times."))
    return problems


def check_command(command: Json, path: str = "") -> list[Problem]:
    """Return the problems of one command."""
    kind = command.get("type") or CHAT_INPUT
    problems = [*_localizations(path, command)]
    if kind == CHAT_INPUT:
        problems += _name_and_description(path, command)
        problems += _options(path, command.get("options") or [])
    else:
        problems += length(f"{path}.name", command.get("name"), 1, 32)
        problems += forbidden(path, command, "APPLICATION_COMMAND_FIELD_NOT_ALLOWED", "description", "options")
    if _command_length(command) > 8000:
        code = "APPLICATION_COMMAND_TOO_LARGE"
        problems.append(Problem(path, code, "Command exceeds maximum size (8000)"))
    return problems


def _name_and_description(path: str, part: Json) -> Problems:
    """Check the name and description of a slash command, subcommand or option."""
    name = part.get("name") or ""
    if not _SLASH_NAME.fullmatch(name) or name != name.lower():
        yield Problem(f"{path}.name".strip("."), "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
    yield from required(path, part, "description")
    yield from length(f"{path}.description", part.get("description"), 1, 100)


def _localizations(path: str, part: Json, longest_name: int = 32) -> Problems:
    for name, maximum in (("name_localizations", longest_name), ("description_localizations", 100)):
        for locale, text in (part.get(name) or {}).items():
            locale_path = f"{path}.{name}.{locale}".strip(".")
            if locale not in LOCALES:
                yield Problem(locale_path, "ENUM_TYPE_COERCE", f'Value "{locale}" is not a valid enum value.')
            yield from length(locale_path, text, 1, maximum)


def _options(path: str, options: list[Json]) -> Problems:
    yield from length(f"{path}.options", options, 0, 25)
    optional_seen = False
    for index, option in enumerate(options):
        option_path = f"{path}.options.{index}".strip(".")
        yield from _option(option_path, option)
        if option.get("required") and optional_seen:
            code = "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID"
            yield Problem(option_path, code, "Required options must be placed before non-required options")
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
    yield from _name_and_description(path, option)
    yield from _localizations(path, option)
    offered = option.get("choices") or []
    if option.get("autocomplete") and offered:
        yield Problem(path, "APPLICATION_COMMAND_OPTIONS_CHOICES_AUTOCOMPLETE", "Choices cannot be autocompleted")
    yield from choices(f"{path}.choices", offered)
    if (
        option.get("type") == 3
        and not 0 <= (option.get("min_length") or 0) <= (option.get("max_length") or 6000) <= 6000
    ):
        yield Problem(path, "APPLICATION_COMMAND_OPTION_LENGTH_INVALID", "Lengths must be between 0 and 6000.")
    if option.get("type") in (1, 2):
        yield from _options(path, option.get("options") or [])


def choices(path: str, given: list[Json]) -> Problems:
    """Check the choices of an option, or of an autocompletion."""
    yield from length(path, given, 0, 25)
    for index, choice in enumerate(given):
        yield from length(f"{path}.{index}.name", choice.get("name"), 1, 100)
        yield from length(f"{path}.{index}.value", choice.get("value"), 0, 100)
        yield from _localizations(f"{path}.{index}", choice, longest_name=100)


def _command_length(part: Json) -> int:
    """Return the characters that count towards Discord's limit of 8000; of translations only the longest counts."""
    own = 0
    for name in ("name", "description"):
        own += max(len(text) for text in [part.get(name) or "", *(part.get(f"{name}_localizations") or {}).values()])
    for choice in part.get("choices") or []:
        own += max(len(text) for text in [choice.get("name") or "", *(choice.get("name_localizations") or {}).values()])
        own += len(str(choice.get("value")))
    return own + sum(_command_length(option) for option in part.get("options") or [])
