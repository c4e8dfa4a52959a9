"""The fake Discord: one loopback server with REST, gateway and CDN for a world."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler

from preview.api import cdn, rest
from preview.api import channels as rest_channels
from preview.api import commands as rest_commands
from preview.api import interactions as rest_interactions
from preview.api import messages as rest_messages
from preview.api import oauth2 as rest_oauth2
from preview.api import scheduled_events as rest_events
from preview.api.fault_injection import Fault, FaultInjector
from preview.api.gateway import Gateway
from preview.api.rate_limits import LIMITS, RateLimit, RateLimiter, RateLimitResult
from preview.api.request_body import BODY, RequestBody, read_body
from preview.api.rest import API_PREFIX, json_response
from preview.state.core import CORE, FakeDiscordState, Ping, RecordedRequest, Violation
from preview.state.errors import ApiError, Problem
from preview.state.event_bus import StateEvent
from preview.state.files import FileStore
from preview.state.interactions import RESPONSE_TIMEOUT_S, Interaction
from preview.state.persistence import WorldStorage
from preview.state.world import Channel, Json, Message, User, World
from preview.users.simulated_user import SimulatedUser
from preview.users.wait_helpers import WaitHelpers
from preview.validation.openapi import OpenApi
from preview.validation.shapes import check_body

log = logging.getLogger(__name__)
UNAUTHENTICATED_PATHS = ("/interactions/", "/webhooks/", "/oauth2/token")
FORM_PATHS = ("/oauth2/token", "/oauth2/token/revoke")
USER_PATHS = re.compile(r"/users/@me(?:/guilds(?:/[0-9]+/member)?)?")  # what a user's own token may read
MAX_RECORDED_REQUESTS = 20_000
MAX_REQUEST_BYTES = 200 * 1024 * 1024


class FakeDiscord(WaitHelpers):
    """Serve a world on loopback: `async with FakeDiscord(world) as server: ... server.api_url`.

    `openapi` is the path of Discord's OpenAPI file; every request is then checked against it. `limits` are the rate
    limits; an empty tuple means none. `latency` is a wait in seconds before each REST request. `folder` stores the
    world between runs; pass either a world or a folder that has one.
    """

    # Tests that share a machine set these for all that they start.
    response_timeout = RESPONSE_TIMEOUT_S  # seconds that a bot has to respond to an interaction
    wait_timeout = 10.0  # seconds, for waits without a timeout of their own

    def __init__(
        self,
        world: World | None = None,
        *,
        openapi: Path | None = None,
        limits: tuple[RateLimit, ...] = LIMITS,
        latency: float = 0.0,
        folder: Path | None = None,
        port: int = 0,
        shards: int = 1,
        heartbeat_interval: float = 41.25,
    ) -> None:
        self.storage = WorldStorage(folder) if folder else None
        stored = self.storage.load() if self.storage and world is None else None
        self.world = world or stored or World()
        files = FileStore(folder / "files" if folder else None)
        self.core = FakeDiscordState(self.world, files)
        self.core.response_timeout = self.response_timeout
        self.core.event_bus.wait_timeout = self.wait_timeout
        self.openapi = OpenApi.load(openapi) if openapi else None
        self.faults = FaultInjector()
        self.gateway = Gateway(self.core, heartbeat_interval=heartbeat_interval)
        self.core.send_event = self.gateway.dispatch
        self.core.shards = shards
        if self.storage and stored:
            self.storage.load_interactions(self.core)
        self.latency = latency
        self._limits = RateLimiter(limits)
        self._port = port
        self.app = self._make_app()
        self._runner: web.AppRunner | None = None

    def _make_app(self) -> web.Application:
        app = web.Application(
            middlewares=[self._loopback_only, self._api_middleware], client_max_size=MAX_REQUEST_BYTES
        )
        app[CORE] = self.core
        for module in (
            rest,
            rest_commands,
            rest_interactions,
            rest_messages,
            rest_channels,
            rest_events,
            rest_oauth2,
            cdn,
        ):
            app.add_routes(module.routes)
        app.router.add_get("/gateway", self.gateway.handle)
        app.router.add_get("/gateway/", self.gateway.handle)
        return app

    # --- start and stop

    async def start(self) -> None:
        """Listen on a loopback port. Raise OSError if it is taken."""
        # aiohttp answers 500 to a damaged compressed body; no client here compresses.
        self._runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=1.0, auto_decompress=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self.port = int(self._runner.addresses[0][1])
        self.core.base_url = f"http://127.0.0.1:{self.port}"
        self.core.gateway_url = f"ws://127.0.0.1:{self.port}/gateway"
        if self.storage:
            self.storage.start_autosave(self.core)

    async def close(self) -> None:
        """Stop listening, close all connections and save the world."""
        self.faults.clear()
        await self.gateway.drop(1001)
        if self._runner:
            await self._runner.cleanup()
        if self.storage:
            await self.storage.close(self.core)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- access for tests

    @property
    def api_url(self) -> str:
        """Return the base URL of the REST API, for `DISCORD_API_URL`."""
        return self.core.base_url + API_PREFIX

    @property
    def requests(self) -> list[RecordedRequest]:
        """Return every REST request so far."""
        return self.core.requests

    @property
    def violations(self) -> list[Violation]:
        """Return the requests whose body broke Discord's rules."""
        return self.core.violations

    @property
    def pings(self) -> list[Ping]:
        """Return which users were notified by which messages."""
        return self.core.pings

    @property
    def interactions(self) -> list[Interaction]:
        """Return all interactions of this run."""
        return list(self.core.interactions.values())

    @property
    def crashes(self) -> list[BaseException]:
        """Return the errors of the fake Discord itself; a test expects none."""
        return self.core.crashes

    def person(self, user: User) -> SimulatedUser:
        """Return the simulated user of an account."""
        return SimulatedUser(self.core, user)

    def pinged_by(self, message: Message) -> list[User]:
        """Return the users whom a message notified, once for each notification."""
        return [self.world.users[ping.user_id] for ping in self.pings if ping.message_id == message.id]

    def messages(self, channel: Channel) -> list[Message]:
        """Return the messages of a channel, oldest first, ephemeral ones included."""
        return self.world.channel_messages(channel)

    # --- every request

    @web.middleware
    async def _loopback_only(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Reject foreign host names (DNS rebinding) and requests from other sites."""
        allowed = {f"{host}:{self.port}" for host in ("127.0.0.1", "localhost", "[::1]")}
        origin = request.headers.get("Origin")
        if request.host not in allowed:
            return web.Response(status=421, text="This server accepts loopback host names only.")
        if origin is not None and origin not in {f"http://{host}" for host in allowed}:
            return web.Response(status=403, text="Cross-site requests are refused.")
        return await handler(request)

    @web.middleware
    async def _api_middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Record one REST request and apply faults, rate limits, authorisation and checks to it."""
        if not request.path.startswith(API_PREFIX + "/"):
            return await handler(request)
        started = time.monotonic()
        path = request.path.removeprefix(API_PREFIX)
        record = RecordedRequest(self.core.clock.time(), request.method, path)
        self.core.requests.append(record)
        if len(self.core.requests) > MAX_RECORDED_REQUESTS:
            del self.core.requests[: MAX_RECORDED_REQUESTS // 2]
        response = await self._respond(request, handler, record)
        record.status, record.seconds = response.status, time.monotonic() - started
        self.core.event_bus.publish(StateEvent("request", detail=f"{record.method} {path}"))
        return response

    async def _respond(self, request: web.Request, handler: Handler, record: RecordedRequest) -> web.Response:
        if self.latency:
            await asyncio.sleep(self.latency)
        fault = self.faults.take(record.method, record.path)
        body = await self._read_body(request, record)
        if isinstance(body, ApiError):
            return self._error_response(record, body, {})
        if fault and (fault_response := await self._apply_fault(request, record, fault)):
            return fault_response
        rate_limit = self._limits.check(record.method, record.path)
        if rate_limit.retry_after is not None:
            return self._rate_limited_response(record, rate_limit)
        response = await self._handle(request, handler, record, rate_limit)
        if fault and fault.kind == "drop_response":
            _abort_connection(request)
        return response

    async def _read_body(self, request: web.Request, record: RecordedRequest) -> RequestBody | ApiError:
        if record.path in FORM_PATHS:
            return RequestBody()  # the route reads the form
        try:
            body = await read_body(request)
        except ApiError as error:
            return error
        BODY.set(body)
        record.body = body.json
        record.files = [(each.filename, len(each.data)) for each in body.files.values()]
        return body

    async def _handle(
        self, request: web.Request, handler: Handler, record: RecordedRequest, rate_limit: RateLimitResult
    ) -> web.Response:
        try:
            self._authorise(request, record.path)
            self._check_body(request, record)
            response = await handler(request)
        except ApiError as error:
            return self._error_response(record, error, rate_limit.headers)
        except web.HTTPException as error:
            return json_response({"message": f"{error.status}: {error.reason}", "code": 0}, status=error.status)
        except Exception as error:
            log.exception("The fake Discord failed on %s %s", record.method, record.path)
            self.core.crashes.append(error)
            return json_response({"message": "500: Internal Server Error", "code": 0}, status=500)
        assert isinstance(response, web.Response)
        response.headers.update(rate_limit.headers)
        record.response = response.body if self.openapi else None
        return response

    def _authorise(self, request: web.Request, path: str) -> None:
        if path.startswith(UNAUTHENTICATED_PATHS) or path == "/gateway":
            return
        given = request.headers.get("Authorization", "")
        if given.startswith("Bearer ") and USER_PATHS.fullmatch(path) and self.core.logins.user(given):
            return
        if given != f"Bot {self.world.application.token}":
            raise ApiError(0)

    def _check_body(self, request: web.Request, record: RecordedRequest) -> None:
        """Check the types of the body, and Discord's OpenAPI file if there is one. Raise Invalid Form Body."""
        array = record.method == "PUT" and record.path.endswith("/commands")
        if problems := check_body(record.body, array=array):
            raise ApiError(50035, problems)
        if self.openapi is None or record.path in FORM_PATHS:  # which Discord's file does not describe
            return
        if problems := self.openapi.check_request(record.method, record.path, record.body):
            raise ApiError(50035, problems)

    def _error_response(self, record: RecordedRequest, error: ApiError, headers: dict[str, str]) -> web.Response:
        record.code = error.code
        if error.code == 50035:
            self._record_violation(record, error.problems)
        response = json_response(error.body(), status=error.status)
        response.headers.update(headers)
        return response

    def _record_violation(self, record: RecordedRequest, problems: list[Problem]) -> None:
        """Record the problems of a body, except a reply to a deleted message: the bot cannot prevent that."""
        if any(each.code != "REPLIES_UNKNOWN_MESSAGE" for each in problems):
            self.core.violations.append(Violation(record.method, record.path, tuple(problems), record.body))

    def _rate_limited_response(
        self, record: RecordedRequest, rate_limit: RateLimitResult, *, via: bool = True, code: int | None = None
    ) -> web.Response:
        wait = rate_limit.retry_after or 0.0
        body: Json = {"message": "You are being rate limited.", "retry_after": wait, "global": rate_limit.is_global}
        if code is not None:
            body["code"] = record.code = code
        response = json_response(body, status=429)
        response.headers.update(rate_limit.headers | {"Retry-After": str(max(1, round(wait)))})
        if via:  # without it discord.py treats the response as a ban by Cloudflare
            response.headers["Via"] = "1.1 google"
        return response

    async def _apply_fault(self, request: web.Request, record: RecordedRequest, fault: Fault) -> web.Response | None:
        """Apply a planned fault; return the response if the fault ends the request."""
        if fault.kind == "status":
            body = fault.body or {"message": f"{fault.status}: Planned fault", "code": 0}
            record.code = body.get("code")
            return json_response(body, status=fault.status)
        if fault.kind == "page":
            return web.Response(text="<!doctype html><title>Please log in</title>", content_type="text/html")
        if fault.kind == "rate_limit":
            rate_limit = RateLimitResult({}, fault.retry_after, fault.is_global)
            return self._rate_limited_response(record, rate_limit, via=fault.via, code=fault.code)
        if fault.kind == "drop":
            _abort_connection(request)
            return web.Response(status=500)
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        if fault.kind == "hold":
            await fault.released.wait()
        return None


def _abort_connection(request: web.Request) -> None:
    """Abort the connection, so that no response arrives."""
    if request.transport:
        request.transport.abort()
