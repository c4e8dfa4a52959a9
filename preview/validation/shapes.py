"""The types of the fields in request bodies, by name: Discord uses a name with one type everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from preview.state.errors import Problem, is_snowflake

Check = Callable[[Any], bool]


def _is(*types: type) -> Check:
    return lambda value: isinstance(value, types) and (bool in types or not isinstance(value, bool))


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _is_small(value: Any) -> bool:
    return _is(int)(value) and abs(value) < 1 << 53


def _is_text_by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def _one_or_more_ids(value: Any) -> bool:
    return all(map(is_snowflake, value if isinstance(value, list) else [value]))


_OBJECT, _TEXT = _is(dict), _is(str)
_CHECKS: dict[Check, str] = {
    _OBJECT: "data allowed_mentions message_reference emoji footer author image thumbnail media file accessory "
    "component",
    _list_of(_OBJECT): "embeds components attachments fields items options choices default_values",
    _TEXT: "content title name label placeholder custom_id url icon_url text filename topic description token "
    "fields.value options.value embeds.type default_values.type",
    _is_small: "type flags style color accent_color min_values max_values min_length max_length spacing position "
    "intents seq",
    _is(int, float): "min_value max_value",
    _is(bool): "disabled spoiler required inline divider nsfw locked archived autocomplete enforce_nonce "
    "fail_if_not_exists default tts",
    is_snowflake: "id message_id recipient_id guild_id channel_id sku_id",
    _list_of(is_snowflake): "users roles messages",
    _one_or_more_ids: "user_ids",
    _list_of(_TEXT): "parse",
    _is_text_by_name: "name_localizations description_localizations",
    _list_of(_is_small): "channel_types integration_types contexts shard",
    _is(str, int): "nonce default_member_permissions session_id",
    _is(str, int, float, bool): "value",
}
_BY_NAME = {name: check for check, names in _CHECKS.items() for name in names.split()}


def check_shapes(value: Any, path: str = "") -> Iterator[Problem]:
    """Yield the fields whose type Discord would refuse; null stands for an absent field."""
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from check_shapes(each, f"{path}.{index}".strip("."))
    if not isinstance(value, dict):
        return
    holder = path.rstrip("0123456789").rstrip(".").rpartition(".")[2]
    for name, each in value.items():
        place = f"{path}.{name}".strip(".")
        check = _BY_NAME.get(f"{holder}.{name}") or _BY_NAME.get(name)
        if each is not None and check and not check(each):
            yield Problem(place, "BASE_TYPE_BAD_TYPE", f"`{name}` has the wrong type.")
        else:
            yield from check_shapes(each, place)


def check_body(body: Any, *, array: bool = False) -> list[Problem]:
    """Return the problems of a whole body: an object, or an array of objects, or nothing."""
    if body is not None and not (_list_of(_OBJECT) if array else _OBJECT)(body):
        kind = "an array of objects" if array else "an object"
        return [Problem("", "BASE_TYPE_BAD_TYPE", f"The body must be {kind}.")]
    return list(check_shapes(body))
