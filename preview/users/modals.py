"""Fill in modals as a user would, with the checks of Discord's client."""

from __future__ import annotations

from typing import Any

from preview.state.files import UploadedFile
from preview.state.world import Json
from preview.users.options import ResolvedData, UserActionError, select_values
from preview.validation.components import FILE_UPLOAD, LABEL, ROW, SELECTS, TEXT_DISPLAY, TEXT_INPUT

RADIO_GROUP, CHECKBOX_GROUP, CHECKBOX = 21, 22, 23


def fill_modal(modal: Json, values: dict[str, Any], resolved: ResolvedData) -> list[Json]:
    """Return the components of a modal's submission. Raise UserActionError if the client would not send it."""
    unused, out = set(values), []
    for number, part in enumerate(modal["components"], 1):
        if part["type"] == TEXT_DISPLAY:
            out.append({"type": TEXT_DISPLAY, "id": part.get("id") or 2 * number})
            continue
        inner = part["component"] if part["type"] == LABEL else part["components"][0]
        label = part.get("label") or inner.get("label") or ""
        names = {inner["custom_id"], label} & set(values)
        unused -= names
        value = values[names.pop()] if names else None
        field = _field_value(inner, value, label, resolved) | {"id": inner.get("id") or 2 * number}
        outer = {"type": part["type"], "id": part.get("id") or 2 * number - 1}
        out.append(outer | ({"components": [field]} if part["type"] == ROW else {"component": field}))
    if unused:
        raise UserActionError(f"the form has no fields {sorted(unused)}")
    return out


def _field_value(part: Json, value: Any, label: str, resolved: ResolvedData) -> Json:
    kind = part["type"]
    base: Json = {"type": kind, "custom_id": part["custom_id"]}
    if kind == TEXT_INPUT:
        return base | {"value": _text(part, value, label)}
    if kind in SELECTS:
        return base | {"values": _selected_values(part, value, label, resolved)}
    if kind == FILE_UPLOAD:
        return base | {"values": _uploaded_files(part, value, label, resolved)}
    if kind == CHECKBOX:
        return base | {"value": bool(part.get("default") if value is None else value)}
    return base | _checked_options(part, value, label)


def _text(part: Json, value: Any, label: str) -> str:
    text = (part.get("value") or "") if value is None else value
    if not isinstance(text, str):
        raise UserActionError(f"{label}: {text!r} is not text")
    minimum, maximum = part.get("min_length") or 0, part.get("max_length") or 4000
    required = part.get("required") is not False
    if (required and not text) or (text and not minimum <= len(text) <= maximum):
        raise UserActionError(f"{label}: needs {max(minimum, int(required))} to {maximum} characters")
    return text


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _selected_values(part: Json, value: Any, label: str, resolved: ResolvedData) -> list[str]:
    if value is None:
        chosen = [option["value"] for option in part.get("options") or [] if option.get("default")]
    else:
        chosen = _as_list(value)
    if not chosen and part.get("required") is False:
        return []
    if not chosen and part.get("min_values") != 0:
        raise UserActionError(f"{label}: choose an option")
    return select_values(part, chosen, resolved)


def _uploaded_files(part: Json, value: Any, label: str, resolved: ResolvedData) -> list[str]:
    files: list[UploadedFile] = _as_list(value)
    minimum = (
        0
        if part.get("required") is False and not files
        else (1 if part.get("min_values") is None else part["min_values"])
    )
    if not minimum <= len(files) <= (part.get("max_values") or 1):
        raise UserActionError(f"{label}: takes {minimum} to {part.get('max_values') or 1} files")
    return [resolved.attachment(each) for each in files]


def _checked_options(part: Json, value: Any, label: str) -> Json:
    """Return the selected option of a radio group, or the checked options of a checkbox group."""
    known = {option["label"]: option["value"] for option in part["options"]}
    default = [option["value"] for option in part["options"] if option.get("default")]
    checked = default if value is None else [known.get(each, each) for each in _as_list(value)]
    if wrong := [each for each in checked if each not in known.values()]:
        raise UserActionError(f"{label}: {wrong} are not among {sorted(known)}")
    if not checked and part.get("required") is not False:
        raise UserActionError(f"{label}: choose an option")
    if part["type"] == RADIO_GROUP:
        return {"value": checked[0] if checked else None}
    return {"values": checked}
