"""Read request bodies: JSON, or multipart with `payload_json` and `files[n]`."""

from __future__ import annotations

import json
import re
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, web

from preview.api.errors import ApiError
from preview.state.files import Upload

MOST_BYTES = 25 * 1024 * 1024


@dataclass
class Body:
    """What a request carries: its JSON, and files by their number."""

    json: Any = None
    files: dict[int, Upload] = field(default_factory=dict)


BODY: ContextVar[Body] = ContextVar("body")


def current_body() -> Body:
    """Return the body of the request that is being answered."""
    return BODY.get()


async def read_body(request: web.Request) -> Body:
    """Read a body; raise 413 above 25 MiB and 50109 for what is not JSON."""
    if request.content_type.startswith("multipart/"):
        return await _read_multipart(request)
    raw = await request.read()
    if len(raw) > MOST_BYTES:
        raise ApiError(40005)
    if not raw:
        return Body()
    if request.content_type != "application/json":
        raise ApiError(50035, status=400)
    return Body(_parse(raw))


async def _read_multipart(request: web.Request) -> Body:
    body, total = Body(), 0
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            raise ApiError(50035)
        raw = bytes(await part.read(decode=True))
        total += len(raw)
        if total > MOST_BYTES:
            continue  # read on, so that the sender gets to see the answer
        number = re.fullmatch(r"files\[(\d+)\]", part.name or "")
        if part.name == "payload_json":
            body.json = _parse(raw)
        elif number:
            kind = part.headers.get("Content-Type")
            specific = None if kind in (None, "application/octet-stream") else kind
            body.files[int(number[1])] = Upload(part.filename or "unknown", raw, specific)
    if total > MOST_BYTES:
        raise ApiError(40005)
    return body


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        raise ApiError(50109) from None
