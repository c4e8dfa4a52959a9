"""The bot operator's list of servers that may use the bot."""

from __future__ import annotations

from collections.abc import Collection

from bot.ui.i18n import tr


def denial_message(allowed: Collection[int], guild_id: int | None) -> str | None:
    """Return the refusal for a server that is not on the list, or None where the bot may be used.

    The server where the command is used decides, not how the bot was installed: a user install is refused in an
    unlisted server too. Direct messages are always allowed, because results may be sent there and their buttons must
    keep working. Discord's developer portal decides who can message the bot at all.
    """
    if not allowed or guild_id is None or guild_id in allowed:
        return None
    return tr("This bot is not open to this server. The bot operator can add the server to `ALLOWED_GUILDS`.")
