"""Read request bodies: JSON, or multipart with `payload_json` and `files[n]`."""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import BodyPartReader, web

from preview.state.errors import ApiError, Problem, snowflake
from preview.state.files import UploadedFile
from preview.state.world import Json
from preview.validation.json_text import parse_json

MAX_BODY_BYTES = 25 * 1024 * 1024


@dataclass
class RequestBody:
    """The JSON of a request, and its files by number."""

    json: Any = None
    files: dict[int, UploadedFile] = field(default_factory=dict)


BODY: ContextVar[RequestBody] = ContextVar("body")


def current_body() -> RequestBody:
    """Return the body of the current request."""
    return BODY.get()


def required_object(*names: str) -> Json:
    """Return the JSON object of the current request. Raise Invalid Form Body if it lacks one of the fields."""
    given = BODY.get().json or {}
    missing = [name for name in names if given.get(name) is None]
    if missing:
        raise ApiError(50035, [Problem(name, "BASE_TYPE_REQUIRED", "This field is required") for name in missing])
    return cast(Json, given)


def path_id(request: web.Request, name: str) -> int:
    """Return an id in the path."""
    return snowflake(request.match_info[name], name)


def query_number(request: web.Request, name: str, default: int) -> int:
    """Return a number of the query. Raise Invalid Form Body if it is none."""
    return snowflake(request.query.get(name, default), name)


async def read_body(request: web.Request) -> RequestBody:
    """Read a body. Raise 413 above 25 MiB and 50109 for invalid JSON."""
    if request.content_type.startswith("multipart/"):
        try:
            return await _read_multipart(request)
        except (ValueError, LookupError, RuntimeError, AssertionError):  # what aiohttp raises for a malformed body
            raise ApiError(50035) from None
    raw = await request.read()
    if len(raw) > MAX_BODY_BYTES:
        raise ApiError(40005)
    if not raw:
        return RequestBody()
    if request.content_type != "application/json":
        raise ApiError(50035, status=400)
    return RequestBody(_parse_json(raw))


async def _read_multipart(request: web.Request) -> RequestBody:
    body, total = RequestBody(), 0
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            raise ApiError(50035)
        raw = bytes(await part.read(decode=True))
        total += len(raw)
        if total > MAX_BODY_BYTES:
            continue  # read to the end, so that the sender receives the response
        number = re.fullmatch(r"files\[([0-9]{1,9})\]", part.name or "")
        if part.name == "payload_json":
            body.json = _parse_json(raw)
        elif number:
            content_type = part.headers.get("Content-Type")
            known_type = None if content_type in (None, "application/octet-stream") else content_type
            body.files[int(number[1])] = UploadedFile(part.filename or "unknown", raw, known_type)
    if total > MAX_BODY_BYTES:
        raise ApiError(40005)
    return body


def _parse_json(raw: bytes) -> Any:
    try:
        return parse_json(raw)
    except ValueError:
        raise ApiError(50109) from None
