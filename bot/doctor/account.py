"""The bot's account at Discord: its token, its clock, the gateway and the intents."""

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

CHECK_TIMEOUT_S = 30.0  # seconds for each check
MAX_SKEW_S = 10.0  # seconds; from about thirty on, answers by the interaction's token come too late
MIN_LOGINS_LEFT = 20  # of the thousand that Discord allows a day
HELLO_OPCODE = 10  # the gateway's first word
PORTAL = "https://discord.com/developers/applications > your application > Bot"
# What each privileged intent is called in the portal, and the flags of an application that may have it.
PRIVILEGED = {
    "presences": ("Presence Intent", "gateway_presence"),
    "members": ("Server Members Intent", "gateway_guild_members"),
    "message_content": ("Message Content Intent", "gateway_message_content"),
}


@dataclass(frozen=True, slots=True)
class Account:
    """The bot as Discord knows it: the settings it runs with, and its application as JSON."""

    config: Config
    api: RestClient
    application: dict[str, Any]


Check = Callable[[Account], Awaitable[list[CheckResult]]]


async def check_account(config: Config, clock: Callable[[], float] = time.time) -> list[CheckResult]:
    """Check the token, then everything that can only be asked with it."""
    async with RestClient.open(config, clock) as api:
        token, application = await _check_token(config, api)
        results = [token]
        for subject, check in CHECKS.items():
            if application is None:
                results.append(skipped(subject, "not checked, since that needs a token that Discord knows"))
            else:
                results += await with_timeout(CHECK_TIMEOUT_S, subject, check(Account(config, api, application)))
    return results


async def _check_token(config: Config, api: RestClient) -> tuple[CheckResult, dict[str, Any] | None]:
    if not config.discord_token:
        return failed("token", "DISCORD_TOKEN is not set", f"Copy it from {PORTAL} into .env."), None
    try:
        me, application = await api.get("/users/@me"), await api.get("/applications/@me")
    except UnauthorizedError:
        return failed("token", "Discord refuses DISCORD_TOKEN", f"{PORTAL} > Reset Token, and copy the new one."), None
    except UnreachableError as error:
        fix = "See that this machine reaches the internet, and that DISCORD_API_URL is right."
        return skipped("token", str(error), fix), None
    return passed("token", f"Discord knows the bot as {me['username']} ({me['id']})"), application


async def _check_clock(account: Account) -> list[CheckResult]:
    skew = account.api.skew
    if skew is None:
        return [skipped("clock", "Discord does not say what time it is")]
    if abs(skew) > MAX_SKEW_S:
        direction = "ahead of" if skew > 0 else "behind"
        text = f"this machine's is {abs(skew):.0f} s {direction} Discord's"
        return [failed("clock", text, "Switch on the synchronisation of time: timedatectl set-ntp true.")]
    return [passed("clock", "the same as Discord's, to a few seconds")]


async def _check_gateway(account: Account) -> list[CheckResult]:
    bot = await account.api.get("/gateway/bot")
    limit = bot["session_start_limit"]
    try:
        await _await_hello(account.api.session, bot["url"])
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        fix = "See that a firewall or proxy lets WebSockets through."
        return [failed("gateway", f"{bot['url']} cannot be reached: {error or type(error).__name__}", fix)]
    if limit["remaining"] < MIN_LOGINS_LEFT:
        reset = _format_reset(limit["reset_after"])
        text = f"only {limit['remaining']} logins are left of {limit['total']}, until {reset}"
        return [failed("gateway", text, "Something restarts the bot again and again: its log says why.")]
    return [passed("gateway", f"it answers; {limit['remaining']} of {limit['total']} logins are left today")]


async def _await_hello(session: aiohttp.ClientSession, url: str) -> None:
    """Connect and listen, without logging in: another bot of this account would notice that."""
    async with asyncio.timeout(10), session.ws_connect(url, params={"v": "10", "encoding": "json"}) as socket:
        if (await socket.receive_json())["op"] != HELLO_OPCODE:
            raise ValueError("it does not speak as a gateway does")


async def _check_intents(account: Account) -> list[CheckResult]:
    flags = discord.ApplicationFlags._from_value(int(account.application.get("flags") or 0))
    needed = [name for name in PRIVILEGED if getattr(INTENTS, name)]
    missing = [
        title
        for title, flag in (PRIVILEGED[name] for name in needed)
        if not (getattr(flags, flag) or getattr(flags, f"{flag}_limited"))
    ]
    if missing:
        return [failed("intents", f"Discord would refuse the bot without {', '.join(missing)}", f"Allow it: {PORTAL}.")]
    return [
        passed("intents", "the bot needs none that Discord would have to allow" if not needed else "all are allowed")
    ]


def _format_reset(milliseconds: int) -> str:
    return f"{milliseconds / 3_600_000:.1f} hours from now"


CHECKS: dict[str, Check] = {
    "clock": _check_clock,
    "gateway": _check_gateway,
    "intents": _check_intents,
    "servers": lambda account: check_servers(account.config, account.api, account.application),
    "commands": lambda account: check_commands(account.config, account.api, account.application),
}
