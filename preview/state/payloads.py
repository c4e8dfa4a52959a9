"""Discord's JSON for users, members, guilds, channels, messages and interactions."""

from __future__ import annotations

from typing import Protocol

from preview.state import permissions
from preview.state.clock import Clock, iso
from preview.state.interactions import COMPONENT, MODAL_SUBMIT, Interaction
from preview.state.world import GROUP_DM, TEXT, Attachment, Channel, Guild, Json, Message, Reaction, Role, User, World

VERIFY_KEY = "0" * 64
MESSAGE_CONTENT = 1 << 15


class PayloadSource(Protocol):
    """The source of the payloads: the world, its clock, and signed addresses of attachments."""

    world: World
    clock: Clock

    def cdn_url(self, attachment: Attachment) -> str: ...


def user(account: User) -> Json:
    """Build a user object."""
    return {
        "id": str(account.id),
        "username": account.name,
        "global_name": account.display_name,
        "avatar": account.avatar,
        "discriminator": "0000" if account.bot else "0",
        "public_flags": 0,
        "flags": 0,
        "bot": account.bot,
        "system": False,
        "banner": None,
        "accent_color": None,
        "avatar_decoration_data": None,
        "collectibles": None,
        "primary_guild": None,
    }


def current_user(account: User) -> Json:
    """Build the user object of the requesting account itself."""
    return user(account) | {"mfa_enabled": False, "locale": account.locale, "verified": True, "email": None}


def application(core: PayloadSource) -> Json:
    """Build the full application object of `/oauth2/applications/@me`."""
    app = core.world.application
    guilds = sum(app.bot_id in guild.members for guild in core.world.guilds.values())
    return partial_application(core) | {
        "name": app.name,
        "icon": None,
        "description": "",
        "type": None,
        "bot": user(core.world.bot),
        "bot_public": True,
        "bot_require_code_grant": False,
        "verify_key": VERIFY_KEY,
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "owner": user(core.world.users[app.owner_id]),
        "approximate_guild_count": guilds,
        "approximate_user_install_count": sum(each.installed for each in core.world.users.values()),
        "approximate_user_authorization_count": 0,
        "explicit_content_filter": 0,
        "team": None,
        "eligible_oauth2_scopes": ["bot", "applications.commands"],
        "integration_types_config": {"0": {}, "1": {}},
    }


def partial_application(core: PayloadSource) -> Json:
    """Build the application object of READY."""
    flags = _intent_flags(core.world.application.privileged_intents)
    return {"id": str(core.world.application.id), "flags": flags, "flags_new": str(flags)}


def _intent_flags(intents: int) -> int:
    """Return the application flags of the enabled privileged intents (for unverified applications)."""
    flags = 1 << 13 if intents & 1 << 8 else 0
    flags |= 1 << 15 if intents & 1 << 1 else 0
    return flags | (1 << 19 if intents & 1 << 15 else 0)


def role(each: Role) -> Json:
    """Build a role object."""
    return {
        "id": str(each.id),
        "name": each.name,
        "permissions": str(each.permissions),
        "position": each.position,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "managed": False,
        "mentionable": each.mentionable,
        "icon": None,
        "unicode_emoji": None,
        "flags": 0,
    }


def member(core: PayloadSource, guild: Guild, user_id: int, *, with_user: bool = True) -> Json:
    """Build a member object; in messages it has no user."""
    each = guild.members.get(user_id)
    out: Json = {
        "avatar": None,
        "banner": None,
        "communication_disabled_until": None,
        "flags": 0,
        "joined_at": each.joined_at if each else core.clock.iso(),
        "nick": each.nick if each else None,
        "pending": False,
        "premium_since": None,
        "roles": [str(role_id) for role_id in each.role_ids] if each else [],
        "mute": False,
        "deaf": False,
    }
    return out | ({"user": user(core.world.users[user_id])} if with_user else {})


def current_user_guild(each: Guild, user_id: int) -> Json:
    """Build a guild object as it is in the list of a member's own guilds."""
    return {
        "id": str(each.id),
        "name": each.name,
        "icon": None,
        "banner": None,
        "owner": each.owner_id == user_id,
        "permissions": str(each.base_permissions(user_id)),
        "features": each.features,
    }


def guild(each: Guild) -> Json:
    """Build a guild object as the REST API returns it."""
    return {
        "id": str(each.id),
        "name": each.name,
        "icon": None,
        "description": None,
        "home_header": None,
        "splash": None,
        "discovery_splash": None,
        "features": each.features,
        "banner": None,
        "owner_id": str(each.owner_id),
        "application_id": None,
        "region": "deprecated",
        "afk_channel_id": None,
        "afk_timeout": 300,
        "system_channel_id": None,
        "system_channel_flags": 0,
        "widget_enabled": False,
        "widget_channel_id": None,
        "verification_level": 0,
        "roles": [role(one) for one in each.roles.values()],
        "default_message_notifications": 1,
        "mfa_level": 0,
        "explicit_content_filter": 0,
        "max_presences": None,
        "max_members": 500000,
        "max_stage_video_channel_users": 50,
        "max_video_channel_users": 25,
        "vanity_url_code": None,
        "premium_tier": each.boost_level,
        "premium_subscription_count": (0, 2, 7, 14)[each.boost_level],
        "preferred_locale": each.locale,
        "rules_channel_id": None,
        "safety_alerts_channel_id": None,
        "public_updates_channel_id": None,
        "premium_progress_bar_enabled": False,
        "nsfw": False,
        "nsfw_level": 0,
        "emojis": [],
        "stickers": [],
        "incidents_data": None,
        "hub_type": None,
        "latest_onboarding_question_id": None,
    }


def guild_create(core: PayloadSource, each: Guild) -> Json:
    """Build the guild object of GUILD_CREATE, with the channels that the bot can see."""
    world, bot = core.world, core.world.bot
    visible = [c for c in world.channels.values() if c.guild_id == each.id and world.permissions(bot, c)]
    return guild(each) | {
        "joined_at": each.members[bot.id].joined_at,
        "large": False,
        "unavailable": False,
        "member_count": len(each.members),
        "members": [member(core, each, bot.id)],
        "channels": [channel(core, one) for one in visible if not one.is_thread],
        "threads": [channel(core, one) for one in visible if one.is_thread and not one.archived],
        "voice_states": [],
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def channel(core: PayloadSource, each: Channel) -> Json:
    """Build a channel object."""
    newest_first = reversed(core.world.messages.values())
    last = next((m.id for m in newest_first if m.channel_id == each.id and m.visible_to is None), None)
    base: Json = {
        "id": str(each.id),
        "type": each.type,
        "flags": 0,
        "last_message_id": str(last) if last else None,
        "last_pin_timestamp": None,
    }
    if each.type == TEXT:
        return base | _text_channel(each)
    return base | (_thread(core, each) if each.is_thread else _private_channel(core, each))


def _text_channel(each: Channel) -> Json:
    return {
        "guild_id": str(each.guild_id),
        "name": each.name,
        "position": each.position,
        "parent_id": None,
        "topic": each.topic,
        "nsfw": each.nsfw,
        "rate_limit_per_user": 0,
        "permission_overwrites": [
            {"id": str(one.id), "type": one.type, "allow": str(one.allow), "deny": str(one.deny)}
            for one in each.overwrites
        ],
    }


def _thread(core: PayloadSource, each: Channel) -> Json:
    count = len(core.world.channel_messages(each))
    return {
        "guild_id": str(each.guild_id),
        "parent_id": str(each.parent_id),
        "owner_id": str(each.owner_id),
        "name": each.name,
        "rate_limit_per_user": 0,
        "thread_metadata": {
            "archived": each.archived,
            "archive_timestamp": each.created_at,
            "auto_archive_duration": 1440,
            "locked": each.locked,
            "create_timestamp": each.created_at,
        },
        "message_count": count,
        "member_count": 1,
        "total_message_sent": count,
    }


def _private_channel(core: PayloadSource, each: Channel) -> Json:
    bot_id = core.world.application.bot_id
    recipients = [user(core.world.users[one]) for one in each.recipient_ids if one != bot_id]
    group = {"name": each.name, "icon": None, "owner_id": str(each.recipient_ids[0])} if each.type == GROUP_DM else {}
    return {"recipients": recipients} | group


def attachment(core: PayloadSource, each: Attachment) -> Json:
    """Build an attachment object with a newly signed address."""
    url = core.cdn_url(each)
    out: Json = {
        "id": str(each.id),
        "filename": each.filename,
        "size": each.size,
        "url": url,
        "proxy_url": url,
    }
    optional = ("content_type", "width", "height", "description", "title")
    out |= {name: getattr(each, name) for name in optional if getattr(each, name) is not None}
    return out | ({"ephemeral": True} if each.ephemeral else {})


def message(core: PayloadSource, each: Message, *, nested: bool = False) -> Json:
    """Build a message object. `nested` omits the referenced message, as Discord does one level down."""
    world = core.world
    mentioned = [world.users[one] for one in each.mention_ids]
    out: Json = {
        "id": str(each.id),
        "channel_id": str(each.channel_id),
        "type": each.type,
        "content": each.content,
        "author": user(world.users[each.author_id]),
        "timestamp": iso(each.created_at),
        "edited_timestamp": iso(each.edited_at) if each.edited_at else None,
        "tts": False,
        "mention_everyone": each.mention_everyone,
        "mentions": [user(one) for one in mentioned],
        "mention_roles": [str(one) for one in each.mention_role_ids],
        "attachments": [attachment(core, one) for one in each.attachments],
        "embeds": [embed(core, each, one) for one in each.embeds],
        "components": [component(core, each, one) for one in each.components],
        "flags": each.flags,
        "pinned": each.pinned,
    }
    if each.reactions:
        out["reactions"] = [reaction(core, one) for one in each.reactions]
    if each.nonce is not None:
        out["nonce"] = each.nonce
    out |= _interaction_fields(core, each)
    if each.thread_id in world.channels:
        out["thread"] = channel(core, world.channels[each.thread_id])
    return out | (_reference(core, each, nested=nested) if each.reference else {})


CONTENT_FIELDS: Json = {"content": "", "embeds": [], "attachments": [], "components": []}


def message_without_content(core: PayloadSource, each: Message) -> Json:
    """Build a message object for a bot without the message content intent.

    Messages in a guild have no content, unless the bot wrote them or they mention it.
    """
    out = message(core, each)
    parent = core.world.messages.get(int((each.reference or {}).get("message_id", 0)))
    if parent and out.get("referenced_message") and not _content_is_visible(core, parent):
        out["referenced_message"] |= CONTENT_FIELDS
    return out if _content_is_visible(core, each) else out | CONTENT_FIELDS


def _content_is_visible(core: PayloadSource, each: Message) -> bool:
    """Return whether the bot may read a message without the intent: its own, a mention of it, or a direct one."""
    bot_id = core.world.bot.id
    direct = core.world.channels[each.channel_id].guild_id is None
    return direct or each.author_id == bot_id or bot_id in each.mention_ids


def rest_message(core: PayloadSource, each: Message) -> Json:
    """Build a message object for REST, where the application's settings decide whether it has content."""
    allowed = core.world.application.privileged_intents & MESSAGE_CONTENT
    return message(core, each) if allowed else message_without_content(core, each)


def _interaction_fields(core: PayloadSource, each: Message) -> Json:
    """Return the fields that name the application and the interaction of a message."""
    app = core.world.application
    if each.author_id != app.bot_id:
        return {}
    if each.interaction is None:
        return {"application_id": str(app.id)} if each.components else {}
    stored = each.interaction
    who = user(core.world.users[stored["user_id"]])
    out: Json = {
        "application_id": str(app.id),
        "webhook_id": str(app.id),
        "interaction_metadata": stored["metadata"] | {"user": who},
    }
    if stored.get("name"):
        kind = {"id": stored["metadata"]["id"], "type": 2, "name": stored["name"], "user": who}
        out["interaction"] = kind
    return out


def _reference(core: PayloadSource, each: Message, *, nested: bool) -> Json:
    reference = each.reference or {}
    out: Json = {"message_reference": reference}
    if nested:
        return out
    parent = core.world.messages.get(int(reference.get("message_id", 0)))
    return out | {"referenced_message": message(core, parent, nested=True) if parent else None}


def reaction(core: PayloadSource, each: Reaction) -> Json:
    """Build a reaction object as the bot sees it."""
    count = len(each.user_ids)
    return {
        "emoji": emoji(each.emoji),
        "count": count,
        "count_details": {"burst": 0, "normal": count},
        "burst_colors": [],
        "me_burst": False,
        "me": core.world.application.bot_id in each.user_ids,
        "burst_me": False,
        "burst_count": 0,
    }


def emoji(text: str) -> Json:
    """Build an emoji object from a Unicode emoji or `name:id`."""
    name, colon, emoji_id = text.partition(":")
    return {"id": emoji_id, "name": name} if colon else {"id": None, "name": text}


def embed(core: PayloadSource, parent: Message, each: Json) -> Json:
    """Build an embed as Discord returns it, with addresses in place of `attachment://`."""
    out = {name: value for name, value in each.items() if value is not None} | {"type": each.get("type") or "rich"}
    for place, key in (("image", "url"), ("thumbnail", "url"), ("author", "icon_url"), ("footer", "icon_url")):
        if not (out.get(place) or {}).get(key):
            continue
        url, _ = _resolve_attachment(core, parent, out[place][key])
        out[place] = out[place] | {key: url, f"proxy_{key}": url}
    out["fields"] = [{"inline": False} | one for one in out.get("fields") or []]
    return out if out["fields"] else {name: value for name, value in out.items() if name != "fields"}


def component(core: PayloadSource, parent: Message, each: Json) -> Json:
    """Build a component as Discord returns it, with its media resolved."""
    out = dict(each)
    for name in ("media", "file"):
        if name in out:
            out[name] = _media(core, parent, out[name]["url"])
    if "items" in out:
        out["items"] = [item | {"media": _media(core, parent, item["media"]["url"])} for item in out["items"]]
    if "components" in out:
        out["components"] = [component(core, parent, one) for one in out["components"]]
    if "accessory" in out:
        out["accessory"] = component(core, parent, out["accessory"])
    if out["type"] == 13:
        found = _resolve_attachment(core, parent, each["file"]["url"])[1]
        out |= {"name": found.filename if found else None, "size": found.size if found else None}
    return out


def _media(core: PayloadSource, parent: Message, url: str) -> Json:
    address, found = _resolve_attachment(core, parent, url)
    out: Json = {"id": str(found.id if found else parent.id), "url": address, "proxy_url": address}
    if found:
        out |= {"attachment_id": str(found.id), "content_type": found.content_type}
        out |= {"width": found.width, "height": found.height}
    return out


def _resolve_attachment(core: PayloadSource, parent: Message, url: str) -> tuple[str, Attachment | None]:
    name = url.removeprefix("attachment://")
    found = next((one for one in parent.attachments if name != url and one.filename == name), None)
    return (core.cdn_url(found), found) if found else (url, None)


def partial_channel(core: PayloadSource, each: Channel, viewer: User) -> Json:
    """Build the channel object of an interaction, with the viewer's permissions."""
    out = channel(core, each)
    if each.guild_id is None:
        return out
    out.pop("permission_overwrites", None)
    return out | {"permissions": str(core.world.permissions(viewer, each))}


def app_permissions(core: PayloadSource, each: Channel) -> int:
    """Return the application's permissions in the channel of an interaction."""
    granted = core.world.permissions(core.world.bot, each)
    user_install = permissions.EMBED_LINKS | permissions.ATTACH_FILES | permissions.MENTION_EVERYONE
    return granted or user_install


def interaction_metadata(each: Interaction) -> Json:
    """Return the interaction metadata, which the messages of the response carry."""
    out: Json = {"id": str(each.id), "type": each.type, "authorizing_integration_owners": each.owners}
    if each.type == COMPONENT and each.target:
        out["interacted_message_id"] = str(each.target.id)
    if each.type == MODAL_SUBMIT and each.parent:
        out["triggering_interaction_metadata"] = interaction_metadata(each.parent) | {"user": user(each.user)}
    return out


def interaction(core: PayloadSource, each: Interaction) -> Json:
    """Return the data of INTERACTION_CREATE."""
    where = core.world.channel_guild(each.channel)
    out: Json = {
        "id": str(each.id),
        "application_id": str(core.world.application.id),
        "type": each.type,
        "data": each.data,
        "token": each.token,
        "version": 1,
        "channel": partial_channel(core, each.channel, each.user),
        "channel_id": str(each.channel.id),
        "app_permissions": str(app_permissions(core, each.channel)),
        "locale": each.user.locale,
        "entitlements": [],
        "entitlement_sku_ids": [],
        "authorizing_integration_owners": each.owners,
        "context": each.context,
        "attachment_size_limit": each.file_limit,
    }
    if where is None:
        out["user"] = user(each.user)
    else:
        rights = str(core.world.permissions(each.user, each.channel))
        out["member"] = member(core, where, each.user.id) | {"permissions": rights}
        out["guild_id"], out["guild_locale"] = str(where.id), where.locale
        out["guild"] = {"id": str(where.id), "locale": where.locale, "features": where.features}
    if each.from_message and each.target:
        out["message"] = message(core, each.target)
    return out
