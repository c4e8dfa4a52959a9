"""Check requests and responses against Discord's OpenAPI file (needs `jsonschema` and `jsonschema-rs`)."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from preview.state.errors import Problem
from preview.state.world import Json

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

# The file lacks fields that Discord accepts; https://github.com/discord/discord-api-spec says to follow the docs.
EXTRA_ACCEPTED_FIELDS = {
    "MessageEditRequestPartial": ("tts",),
    "IncomingWebhookUpdate": ("tts",),
    "ApplicationCommand": ("nsfw",),
    # A kept attachment may be sent as it was received.
    "MessageAttachmentRequest": (
        "url",
        "proxy_url",
        "size",
        "content_type",
        "width",
        "height",
        "ephemeral",
        "spoiler",
        "flags",
    ),
}
JSON_CONTENT_TYPE = "application/json"


class OpenApi:
    """Discord's OpenAPI 3.1 description, changed to accept what Discord accepts and to reject unknown fields."""

    def __init__(self, path: Path) -> None:
        document = json.loads(path.read_text(encoding="utf-8"))
        self._paths: dict[str, Json] = document["paths"]
        self._lenient = document["components"]
        self._strict = _forbid_unknown(json.loads(json.dumps(document["components"])))
        self._patterns: dict[int, list[tuple[re.Pattern[str], str]]] = {}  # by the number of slashes
        for each in self._templates():
            self._patterns.setdefault(each.count("/"), []).append((re.compile(_path_pattern(each)), each))
        self._validators: dict[tuple[str, str, str], _Validator] = {}

    @classmethod
    @cache
    def load(cls, path: Path) -> OpenApi:
        """Load the description from a file; the result is cached."""
        return cls(path)

    def _templates(self) -> list[str]:
        """Return the path templates, fewest placeholders first."""
        return sorted(self._paths, key=lambda each: (each.count("{"), -len(each)))

    def operation(self, method: str, path: str) -> Json | None:
        """Return the operation of a request, None if the file does not have it."""
        for pattern, template in self._patterns.get(path.count("/"), ()):
            if pattern.fullmatch(path) and method.lower() in self._paths[template]:
                return {"template": template, **self._paths[template][method.lower()]}
        return None

    def check_request(self, method: str, path: str, body: Any) -> list[Problem]:
        """Return the problems of a request's JSON (`payload_json` if it is multipart)."""
        operation = self.operation(method, path)
        if operation is None:
            return [Problem("", "OPENAPI_PATH", f"{method} {path} is not in the API")]
        schema = operation.get("requestBody", {}).get("content", {}).get(JSON_CONTENT_TYPE, {}).get("schema")
        if schema is None or body is None:
            return []
        return self._problems((operation["template"], method, "request"), schema, self._strict, body)

    def check_response(self, method: str, path: str, status: int, body: Any) -> list[Problem]:
        """Return the problems of a response's JSON."""
        operation = self.operation(method, path)
        if operation is None:
            return [Problem("", "OPENAPI_PATH", f"{method} {path} is not in the API")]
        answers = operation["responses"]
        if str(status) not in answers:
            known = status >= 400 or f"{status // 100}XX" in answers
            return [] if known else [Problem("", "OPENAPI_STATUS", f"{method} {path} cannot return {status}")]
        schema = answers[str(status)].get("content", {}).get(JSON_CONTENT_TYPE, {}).get("schema")
        if schema is None:
            return [] if body is None else [Problem("", "OPENAPI_BODY", f"{status} has no body")]
        return self._problems((operation["template"], method, str(status)), schema, self._lenient, body)

    def check_schema(self, name: str, body: Any) -> list[Problem]:
        """Return the problems of a value under a named schema."""
        return self._problems((name, "", "schema"), {"$ref": f"#/components/schemas/{name}"}, self._lenient, body)

    def _problems(self, key: tuple[str, str, str], schema: Json, components: Json, body: Any) -> list[Problem]:
        if key not in self._validators:
            kind = _request_validator() if components is self._strict else _default_validator()
            self._validators[key] = _Validator({"allOf": [schema], "components": components}, kind)
        return self._validators[key].problems(body)


class _Validator:
    """Accept a valid body at once, and say in words what is wrong with another one.

    `jsonschema` takes milliseconds for a body, `jsonschema-rs` microseconds; but it neither accepts an integer as a
    string of digits nor tells which of several alternatives was meant.
    """

    def __init__(self, schema: Json, kind: type[Draft202012Validator]) -> None:
        import jsonschema_rs

        self._fast, self._exact = jsonschema_rs.Draft202012Validator(schema), kind(schema)

    def problems(self, body: Any) -> list[Problem]:
        from jsonschema.exceptions import best_match  # type: ignore[import-untyped]

        if self._fast.is_valid(body) or self._exact.is_valid(body):
            return []
        error = best_match(self._exact.iter_errors(body))
        where = ".".join(str(part) for part in error.absolute_path)
        return [Problem(where, f"OPENAPI_{error.validator}".upper(), error.message[:400])]


def _path_pattern(template: str) -> str:
    return re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(template))


def _default_validator() -> type[Draft202012Validator]:
    from jsonschema import Draft202012Validator

    return cast("type[Any]", Draft202012Validator)


@cache
def _request_validator() -> type[Draft202012Validator]:
    """Return a validator for requests, where an integer may be a string of digits."""
    from jsonschema.validators import extend  # type: ignore[import-untyped]

    def integer(checker: Any, value: Any) -> bool:
        return _is_integer(value) or (isinstance(value, str) and value.lstrip("-").isdigit())

    checker = _default_validator().TYPE_CHECKER.redefine("integer", integer)
    validator: type[Draft202012Validator] = extend(_default_validator(), type_checker=checker)
    return validator


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _forbid_unknown(components: Json) -> Json:
    """Make object schemas reject unknown fields, and snowflakes accept integers."""
    schemas = components["schemas"]
    for name, schema in schemas.items():
        for owner, extras in EXTRA_ACCEPTED_FIELDS.items():
            if name.startswith(owner) and "properties" in schema:
                schema["properties"] = {each: {} for each in extras} | schema["properties"]
        _forbid_additional_properties(schema)
    schemas["SnowflakeType"] = {"anyOf": [schemas["SnowflakeType"], {"type": "integer"}]}
    return components


def _forbid_additional_properties(schema: Any) -> None:
    if isinstance(schema, list):
        for each in schema:
            _forbid_additional_properties(each)
    elif isinstance(schema, dict):
        if "oneOf" in schema:  # here a string of digits is both a string and an integer
            schema["anyOf"] = schema.pop("oneOf")
        if "properties" in schema and schema.get("type") == "object":
            schema.setdefault("additionalProperties", False)
        for each in list(schema.values()):
            _forbid_additional_properties(each)
