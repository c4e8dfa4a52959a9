"""What the bot may do in its servers, and in which channels."""

from __future__ import annotations

from typing import Any

import discord

from bot.config import Config
from bot.doctor.api import Api
from bot.doctor.finding import Finding, bad, fine

MOST_LOOKED_INTO = 20  # servers whose channels are looked at: each takes two requests
PAGE = 200  # servers in one answer
NEEDED = discord.Permissions(
    view_channel=True, send_messages=True, send_messages_in_threads=True, attach_files=True, read_message_history=True
)
IN_CHANNELS = discord.Permissions(view_channel=True, send_messages=True, attach_files=True)
TEXT_CHANNELS = (0, 5)  # Discord's types for text and announcements

Json = dict[str, Any]


async def check_servers(config: Config, api: Api, application: Json) -> list[Finding]:
    """Check the permissions in every server, and the channels of the first ones."""
    servers = await _servers(api)
    if not servers:
        return [bad("servers", "the bot is in none", f"Open {_invitation(application)} and choose one.")]
    findings = _missing_servers(config, application, servers)
    for number, server in enumerate(servers):
        finding = _check_permissions(config, server)
        if finding is None:
            channels = await _say_channels(api, application, server) if number < MOST_LOOKED_INTO else ""
            finding = fine("servers", f"{server['name']}: all permissions{channels}")
        findings.append(finding)
    return findings


async def _servers(api: Api) -> list[Json]:
    servers: list[Json] = []
    while True:
        page = await api.get("/users/@me/guilds", limit=PAGE, after=servers[-1]["id"] if servers else 0)
        servers += page
        if len(page) < PAGE:
            return servers


def _missing_servers(config: Config, application: Json, servers: list[Json]) -> list[Finding]:
    absent = sorted(config.allowed_guilds - {int(server["id"]) for server in servers})
    mend = f"Open {_invitation(application)} and choose it, or take it off the list."
    return [bad("servers", f"ALLOWED_GUILDS names {guild_id}, where the bot is not", mend) for guild_id in absent]


def _check_permissions(config: Config, server: Json) -> Finding | None:
    name, has = server["name"], discord.Permissions(int(server["permissions"]))
    if config.allowed_guilds and int(server["id"]) not in config.allowed_guilds:
        return fine("servers", f"{name}: people are refused, since it is not in ALLOWED_GUILDS")
    if has.administrator or has.is_superset(NEEDED):
        return None
    lacking = ", ".join(title for flag, title in _titles(NEEDED) if not getattr(has, flag))
    return bad("servers", f"{name}: the bot lacks {lacking}", "Server Settings > Roles > the bot's role: allow it.")


async def _say_channels(api: Api, application: Json, server: Json) -> str:
    """Say in which channels the bot may not post; their owners may have meant it so."""
    member = await api.get(f"/guilds/{server['id']}/members/{application['bot']['id']}")
    channels = await api.get(f"/guilds/{server['id']}/channels")
    texts = [channel for channel in channels if channel["type"] in TEXT_CHANNELS]
    closed = [f"#{channel['name']}" for channel in texts if not _may_post(server, member, channel)]
    if not closed:
        return f", in all {len(texts)} channels"
    more = f" and {len(closed) - 5} more" if len(closed) > 5 else ""
    return f", but it may not post in {', '.join(closed[:5])}{more}"


def _may_post(server: Json, member: Json, channel: Json) -> bool:
    """Apply a channel's overwrites in Discord's order: everyone, the roles together, the member."""
    has = int(server["permissions"])
    if discord.Permissions(has).administrator:
        return True
    overwrites = {overwrite["id"]: overwrite for overwrite in channel.get("permission_overwrites", ())}
    roles = [overwrites[role] for role in member["roles"] if role in overwrites]
    for layer in ([overwrites.get(server["id"])], roles, [overwrites.get(member["user"]["id"])]):
        present = [overwrite for overwrite in layer if overwrite is not None]
        for overwrite in present:
            has &= ~int(overwrite["deny"])
        for overwrite in present:
            has |= int(overwrite["allow"])
    return discord.Permissions(has).is_superset(IN_CHANNELS)


def _titles(permissions: discord.Permissions) -> list[tuple[str, str]]:
    return [(flag, flag.replace("_", " ").title()) for flag, value in permissions if value]


def _invitation(application: Json) -> str:
    return discord.utils.oauth_url(application["id"], permissions=NEEDED, scopes=("bot", "applications.commands"))
