"""Check the bot's permissions in its servers and channels."""

from __future__ import annotations

from typing import Any

import discord

from bot.config import Config
from bot.doctor.rest import RestClient
from bot.doctor.result import CheckResult, failed, passed

MAX_SERVERS_WITH_CHANNELS = 20  # each takes two requests
PAGE_SIZE = 200  # servers per request
REQUIRED_PERMISSIONS = discord.Permissions(
    view_channel=True, send_messages=True, send_messages_in_threads=True, attach_files=True, read_message_history=True
)
# Without threads, results are posted where they were requested, so that permission is asked for and not required.
INVITE_PERMISSIONS = REQUIRED_PERMISSIONS | discord.Permissions(create_public_threads=True)
CHANNEL_PERMISSIONS = discord.Permissions(view_channel=True, send_messages=True, attach_files=True)
TEXT_CHANNELS = (0, 5)  # Discord's types for text and announcements

Json = dict[str, Any]


async def check_servers(config: Config, api: RestClient, application: Json) -> list[CheckResult]:
    """Check the permissions in every server, and the channels of the first ones."""
    servers = await list_servers(api)
    if not servers:
        return [failed("servers", "the bot is in no server", f"Open {invite_url(application)} and choose a server.")]
    results = _missing_servers(config, application, servers)
    for number, server in enumerate(servers):
        result = _check_permissions(config, server)
        if result is None:
            channels = await _describe_channels(api, application, server) if number < MAX_SERVERS_WITH_CHANNELS else ""
            result = passed("servers", f"{server['name']}: all permissions{channels}")
        results.append(result)
    return results


async def list_servers(api: RestClient) -> list[Json]:
    """Return every server that the bot is in, as Discord's JSON."""
    servers: list[Json] = []
    while True:
        page = await api.get("/users/@me/guilds", limit=PAGE_SIZE, after=servers[-1]["id"] if servers else 0)
        servers += page
        if len(page) < PAGE_SIZE:
            return servers


def _missing_servers(config: Config, application: Json, servers: list[Json]) -> list[CheckResult]:
    absent = sorted(config.allowed_guilds - {int(server["id"]) for server in servers})
    fix = f"Open {invite_url(application)} and choose it, or remove it from ALLOWED_GUILDS."
    return [failed("servers", f"the bot is not in {guild_id}, which ALLOWED_GUILDS lists", fix) for guild_id in absent]


def _check_permissions(config: Config, server: Json) -> CheckResult | None:
    name, has = server["name"], discord.Permissions(int(server["permissions"]))
    if config.allowed_guilds and int(server["id"]) not in config.allowed_guilds:
        return passed("servers", f"{name}: refused, because it is not in ALLOWED_GUILDS")
    if has.administrator or has.is_superset(REQUIRED_PERMISSIONS):
        return None
    lacking = ", ".join(title for flag, title in _permission_names(REQUIRED_PERMISSIONS) if not getattr(has, flag))
    return failed(
        "servers", f"{name}: the bot lacks {lacking}", "Server Settings > Roles > the bot's role: turn it on."
    )


async def _describe_channels(api: RestClient, application: Json, server: Json) -> str:
    """Return which channels the bot cannot post in; no failure, because that may be intended."""
    member = await api.get(f"/guilds/{server['id']}/members/{application['bot']['id']}")
    channels = await api.get(f"/guilds/{server['id']}/channels")
    texts = [channel for channel in channels if channel["type"] in TEXT_CHANNELS]
    closed = [f"#{channel['name']}" for channel in texts if not _can_post(server, member, channel)]
    if not closed:
        return f", in every channel ({len(texts)})"
    more = f" and {len(closed) - 5} more" if len(closed) > 5 else ""
    return f", but it cannot post in {', '.join(closed[:5])}{more}"


def _can_post(server: Json, member: Json, channel: Json) -> bool:
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
    return discord.Permissions(has).is_superset(CHANNEL_PERMISSIONS)


def _permission_names(permissions: discord.Permissions) -> list[tuple[str, str]]:
    return [(flag, flag.replace("_", " ").title()) for flag, value in permissions if value]


def invite_url(application: Json) -> str:
    """Return the link that invites the bot to a server, with its permissions and the scope for commands."""
    return discord.utils.oauth_url(
        application["id"], permissions=INVITE_PERMISSIONS, scopes=("bot", "applications.commands")
    )
