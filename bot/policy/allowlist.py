"""Which servers may use the bot, where whoever runs the machine has said so."""

from __future__ import annotations

from collections.abc import Collection

from bot.ui.i18n import tr


def denial_message(allowed: Collection[int], guild_id: int | None) -> str | None:
    """Give the words for somebody in a server that may not use the bot; None where it may be used.

    It counts where somebody is, not how the bot came there: people who installed it for themselves cannot use it in a
    server that is not listed. Direct messages are open to everybody, since results may have to come there and the
    buttons below them go on working; who may write to the bot at all is decided in Discord's developer portal.
    """
    if not allowed or guild_id is None or guild_id in allowed:
        return None
    return tr("This bot is not open to this server. The bot operator can add the server to `ALLOWED_GUILDS`.")
