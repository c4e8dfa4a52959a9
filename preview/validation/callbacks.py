"""Rules for responses to interactions: deferrals, modals and autocompletion."""

from __future__ import annotations

from preview.state.errors import Problem
from preview.state.world import COMPONENTS_V2, EPHEMERAL, Json, walk_components
from preview.validation.checks import Problems, forbidden, length, required
from preview.validation.commands import choices
from preview.validation.components import (
    FILE_UPLOAD,
    LABEL,
    ROW,
    SELECTS,
    TEXT_DISPLAY,
    TEXT_INPUT,
    check_duplicates,
    check_message,
    check_select,
    check_text_display,
)

MODAL_FIELDS = (*SELECTS, TEXT_INPUT, FILE_UPLOAD, 21, 22, 23)
UPDATE_CALLBACKS = (6, 7)


def check_callback(body: Json, *, v2: bool = False) -> list[Problem]:
    """Return the problems of a response to an interaction."""
    kind, data = body.get("type"), body.get("data") or {}
    if kind in (4, 7):
        return [_prefixed("data", one) for one in check_message(data, v2=v2 or _requests_v2(data))]
    if kind == 5:
        return list(_deferral(data))
    if kind == 8:
        return [_prefixed("data", one) for one in choices("choices", data.get("choices") or [])]
    return [_prefixed("data", one) for one in check_modal(data)] if kind == 9 else []


def _requests_v2(data: Json) -> bool:
    return bool((data.get("flags") or 0) & COMPONENTS_V2)


def _prefixed(root: str, problem: Problem) -> Problem:
    return Problem(f"{root}.{problem.path}".strip("."), problem.code, problem.message)


def _deferral(data: Json) -> Problems:
    code = "INTERACTION_RESPONSE_DEFER_INVALID"
    for name in ("content", "embeds", "components", "attachments", "poll"):
        yield from (_prefixed("data", one) for one in forbidden("", data, code, name))
    if (data.get("flags") or 0) & ~EPHEMERAL:
        yield Problem("data.flags", code, "A deferred message takes no flag but EPHEMERAL.")


def check_modal(data: Json) -> list[Problem]:
    """Return the problems of a modal."""
    components = data.get("components") or []
    problems = [*required("", data, "custom_id", "title")]
    problems += length("custom_id", data.get("custom_id"), 1, 100)
    problems += length("title", data.get("title"), 1, 45)
    problems += length("components", components, 1, 5)
    problems += check_duplicates("components", list(walk_components(components)))
    for index, part in enumerate(components):
        problems += _modal_component(f"components.{index}", part)
    return problems


def _modal_component(path: str, part: Json) -> Problems:
    kind = part.get("type")
    if kind == TEXT_DISPLAY:
        yield from check_text_display(path, part)
    elif kind == LABEL:
        yield from required(path, part, "label", "component")
        yield from length(f"{path}.label", part.get("label"), 1, 45)
        yield from length(f"{path}.description", part.get("description"), 0, 100)
        yield from _modal_field(f"{path}.component", part.get("component") or {}, labelled=True)
    elif kind == ROW:
        yield from length(f"{path}.components", part.get("components") or [], 1, 1)
        for child in part.get("components") or []:
            yield from _modal_field(f"{path}.components.0", child, labelled=False)
    else:
        yield Problem(f"{path}.type", "UNION_TYPE_CHOICES", f"Component type {kind} cannot be placed in a modal.")


def _modal_field(path: str, part: Json, *, labelled: bool) -> Problems:
    kind = part.get("type")
    allowed = MODAL_FIELDS if labelled else (TEXT_INPUT,)
    if kind not in allowed:
        yield Problem(f"{path}.type", "UNION_TYPE_CHOICES", f"Component type {kind} cannot be placed here.")
    yield from forbidden(path, part, "COMPONENT_DISABLED_IN_MODAL", "disabled")
    yield from required(path, part, "custom_id")
    yield from length(f"{path}.custom_id", part.get("custom_id"), 1, 100)
    if kind in SELECTS:
        yield from check_select(path, part)
    if kind == FILE_UPLOAD and not 0 <= (part.get("min_values") or 0) <= (part.get("max_values") or 1) <= 10:
        yield Problem(
            path, "FILE_UPLOAD_INVALID_RANGE", "min_values and max_values must satisfy 0 <= min <= max <= 10."
        )
    if kind != TEXT_INPUT:
        return
    yield from required(path, part, "style", *(() if labelled else ("label",)))
    yield from length(f"{path}.label", part.get("label"), 0, 45)
    yield from length(f"{path}.placeholder", part.get("placeholder"), 0, 100)
    yield from length(f"{path}.value", part.get("value"), 0, 4000)
