"""Refuse requests that other sites cause, and add the headers that keep pages and pictures to themselves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from bot.ui.i18n import error_text, tr
from generation.errors import UserError

log = logging.getLogger(__name__)

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "same-origin",  # without any, browsers send forms with the origin `null`
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # What is deleted or hidden is gone from the next request on, so that nothing is kept without asking again.
    "Cache-Control": "private, no-cache",
}
HSTS = {"Strict-Transport-Security": "max-age=31536000"}
SAFE_METHODS = ("GET", "HEAD")


def protect(
    app: web.Application, hosts: Callable[[], frozenset[str]], origins: Callable[[], frozenset[str]], *, secure: bool
) -> None:
    """Guard an application at `origins`; `secure` ones are reached by https only."""
    headers = HEADERS | (HSTS if secure else {})

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        return _refusal(request, hosts(), origins()) or await _handled(request, handler)

    async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
        for name, value in headers.items():
            response.headers.setdefault(name, value)

    app.middlewares.append(guard)
    app.on_response_prepare.append(add_headers)


def _refusal(request: web.Request, hosts: frozenset[str], origins: frozenset[str]) -> web.Response | None:
    """Return the answer to a request for another host, or one that another site causes."""
    if request.host not in hosts:
        return _error(421, tr("This server does not have that name."))
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site", "none")
    if origin is not None and origin not in origins:
        return _error(403, tr("Requests from other sites are refused."))
    if request.method not in SAFE_METHODS and (origin is None or site not in ("same-origin", "none")):
        return _error(403, tr("Requests from other sites are refused."))
    is_visit = request.headers.get("Sec-Fetch-Mode") == "navigate" and request.method in SAFE_METHODS
    if site not in ("same-origin", "none") and not is_visit:
        return _error(403, tr("Requests from other sites are refused."))
    return None


async def _handled(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _error(error.status, error.text or error.reason)
    except UserError as error:
        return _error(422, error_text(error))
    except ValueError:  # what parsing a cursor, an id or a picture's name raises
        return _error(400, tr("This request is malformed."))
    except ConnectionError:  # the browser has gone, in the middle of a zip
        raise
    except Exception:
        log.exception("the gallery failed on %s %s", request.method, request.path)
        return _error(500, tr("Something went wrong. The log has the details."))


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)


def is_local_path(path: str) -> bool:
    """Return whether an address stays on this site when a browser goes there."""
    if not path.startswith("/") or path.startswith(("//", "/\\")) or any(ord(letter) < 33 for letter in path):
        return False
    parts = urlsplit(path)
    return not parts.scheme and not parts.netloc and "\\" not in path
