"""Check the bot's Discord account: token, clock, gateway, intents, servers and commands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import discord

from bot.client import INTENTS
from bot.config import Config
from bot.doctor.commands import check_commands
from bot.doctor.rest import RestClient, UnauthorizedError, UnreachableError
from bot.doctor.result import CheckResult, failed, passed, skipped, with_timeout
from bot.doctor.servers import check_servers
from generation.command_line import as_typed

CHECK_TIMEOUT_S = 30.0  # seconds for each check
MAX_SKEW_S = 10.0  # seconds; from about 30 on, replies to interactions can come too late
MIN_LOGINS_LEFT = 20  # of the 1000 that Discord allows a day
HELLO_OPCODE = 10  # of the gateway's first message
PORTAL = "https://discord.com/developers/applications > your application > Bot"
# Name of each privileged intent in the portal, and the application flag that grants it.
PRIVILEGED = {
    "presences": ("Presence Intent", "gateway_presence"),
    "members": ("Server Members Intent", "gateway_guild_members"),
    "message_content": ("Message Content Intent", "gateway_message_content"),
}


@dataclass(frozen=True, slots=True)
class Account:
    """The bot's settings, a REST client with its token, and its application as JSON."""

    config: Config
    api: RestClient
    application: dict[str, Any]


Check = Callable[[Account], Awaitable[list[CheckResult]]]


async def check_account(config: Config, clock: Callable[[], float] = time.time) -> list[CheckResult]:
    """Check the token, then everything that needs a valid token."""
    async with RestClient.open(config, clock) as api:
        token, application = await _check_token(config, api)
        results = [token]
        for subject, check in CHECKS.items():
            if application is None:
                results.append(skipped(subject, "not checked: needs a valid token"))
            else:
                results += await with_timeout(CHECK_TIMEOUT_S, subject, check(Account(config, api, application)))
    return results


async def _check_token(config: Config, api: RestClient) -> tuple[CheckResult, dict[str, Any] | None]:
    if not config.discord_token:
        return failed(
            "token", "DISCORD_TOKEN is not set", f"Run `{as_typed('setup')}`, or copy it from {PORTAL} into .env."
        ), None
    try:
        me, application = await api.get("/users/@me"), await api.get("/applications/@me")
    except UnauthorizedError:
        return failed(
            "token", "Discord refuses DISCORD_TOKEN", f"{PORTAL} > Reset Token, then copy the new one into .env."
        ), None
    except UnreachableError as error:
        fix = "Check this machine's internet connection and DISCORD_API_URL."
        return skipped("token", str(error), fix), None
    return passed("token", f"Discord knows the bot as {me['username']} ({me['id']})"), application


async def _check_clock(account: Account) -> list[CheckResult]:
    skew = account.api.skew
    if skew is None:
        return [skipped("clock", "Discord sent no time to compare with")]
    if abs(skew) > MAX_SKEW_S:
        direction = "ahead of" if skew > 0 else "behind"
        text = f"this machine's clock is {abs(skew):.0f} s {direction} Discord's"
        return [failed("clock", text, "Turn on time synchronisation: timedatectl set-ntp true.")]
    return [passed("clock", f"within {MAX_SKEW_S:g} s of Discord's")]


async def _check_gateway(account: Account) -> list[CheckResult]:
    bot = await account.api.get("/gateway/bot")
    limit = bot["session_start_limit"]
    try:
        await _await_hello(account.api.session, bot["url"])
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        fix = "Make sure that firewalls and proxies let WebSockets through."
        return [failed("gateway", f"{bot['url']} cannot be reached: {error or type(error).__name__}", fix)]
    if limit["remaining"] < MIN_LOGINS_LEFT:
        reset = _format_reset(limit["reset_after"])
        text = f"only {limit['remaining']} of {limit['total']} logins are left; the count resets {reset}"
        return [failed("gateway", text, "Something keeps restarting the bot: look for the cause in its log.")]
    return [passed("gateway", f"reachable; {limit['remaining']} of {limit['total']} logins are left today")]


async def _await_hello(session: aiohttp.ClientSession, url: str) -> None:
    """Wait for the gateway's hello without identifying, so that a running bot of this account is not disturbed."""
    async with asyncio.timeout(10), session.ws_connect(url, params={"v": "10", "encoding": "json"}) as socket:
        if (await socket.receive_json())["op"] != HELLO_OPCODE:
            raise ValueError("it did not send a gateway's hello")


async def _check_intents(account: Account) -> list[CheckResult]:
    flags = discord.ApplicationFlags._from_value(int(account.application.get("flags") or 0))
    needed = [name for name in PRIVILEGED if getattr(INTENTS, name)]
    missing = [
        title
        for title, flag in (PRIVILEGED[name] for name in needed)
        if not (getattr(flags, flag) or getattr(flags, f"{flag}_limited"))
    ]
    if missing:
        return [
            failed("intents", f"not allowed by Discord, but needed: {', '.join(missing)}", f"Turn it on at {PORTAL}.")
        ]
    return [
        passed("intents", "the bot needs no privileged intents" if not needed else "all privileged intents are allowed")
    ]


def _format_reset(milliseconds: int) -> str:
    return f"in {milliseconds / 3_600_000:.1f} hours"


CHECKS: dict[str, Check] = {
    "clock": _check_clock,
    "gateway": _check_gateway,
    "intents": _check_intents,
    "servers": lambda account: check_servers(account.config, account.api, account.application),
    "commands": lambda account: check_commands(account.config, account.api, account.application),
}
