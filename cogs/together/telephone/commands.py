"""/telephone: one writes, the next one sees only the picture and writes what it is, and so on."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.discord_calls import NO_MENTIONS
from bot.jobs.destination import destination_from
from bot.jobs.prompt_defaults import load_server_defaults
from bot.policy.policy import PolicyDenied
from bot.policy.sessions import Participant, participant_from, require_host
from bot.ui.dynamic_items import PersistentItem
from bot.ui.i18n import audience, tr, trn
from bot.ui.text import fit_lines
from cogs.together.finding import Found
from cogs.together.server_group import require_channel, server_group
from cogs.together.telephone import messages
from cogs.together.telephone.buttons import end_telephone
from cogs.together.telephone.finding import find_any_telephone
from cogs.together.telephone.handler import TelephoneHandler
from cogs.together.telephone.left_over import drop_left_over
from cogs.together.telephone.messages import PREFIX, SESSION
from cogs.together.telephone.phases import FIVE_MINUTES, JOINING, MAX_PLAYERS, MIN_PLAYERS, PACES
from db.together.sessions import Session, SessionKind
from db.together.telephones import Player
from generation.errors import UserError
from generation.params import Params, to_dict

log = logging.getLogger(__name__)

MIN_SIDE = 256  # pixels
KEPT_SETTINGS = ("players", "seconds", "role", "in_thread")  # of a game that is played again


class TelephoneCommand(commands.Cog):
    """Start, end and list telephones."""

    telephone = server_group(
        "telephone", "Picture telephone: one writes, the next one sees only the picture and writes what it is"
    )

    def __init__(self, client: Client) -> None:
        self.client = client
        self.handler = TelephoneHandler(client)

    async def cog_load(self) -> None:
        """Take the steps of telephones from now on."""
        self.client.sessions.register(self.handler)
        self.client.services.db.jobs.subscribe(self.handler.on_state_change)
        self.client.jobs.runner.presenters.append(self.handler.present)

    async def cog_unload(self) -> None:
        """Leave the store, which outlives this client."""
        self.client.services.db.jobs.unsubscribe(self.handler.on_state_change)

    @commands.Cog.listener()
    async def on_ready(self) -> None:
        """Delete the pictures of games that ended, without being shown, while the bot was away."""
        await drop_left_over(self.client)

    @telephone.command(description="Start a picture telephone, and look for players")
    @app_commands.describe(
        players="How many may play, usually 4",
        turn="How long a turn lasts, usually five minutes",
        who="Only this role may play",
        where="In a thread of its own, or here",
    )
    async def start(
        self,
        interaction: Interaction,
        players: app_commands.Range[int, MIN_PLAYERS, MAX_PLAYERS] = 4,
        turn: Literal["5 minutes", "1 day"] = "5 minutes",
        who: discord.Role | None = None,
        where: Literal["thread", "here"] = "thread",
    ) -> None:
        await open_lobby(
            interaction,
            self.handler,
            {
                "players": players,
                "seconds": PACES[turn],
                "role": who.id if who and not who.is_default() else None,
                "in_thread": where == "thread",
            },
        )

    @telephone.command(description="End the telephone in this channel, and show what was drawn")
    async def end(self, interaction: Interaction) -> None:
        found = [
            each
            for each in await self._telephones(interaction)
            if interaction.channel_id in (each.channel_id, each.thread_id)
        ]
        own = [each for each in found if each.host_id == interaction.user.id] or found
        if not own:
            raise UserError(tr("There is no telephone in this channel."))
        await end_telephone(interaction, Found(self.handler, own[0]))

    @telephone.command(name="list", description="The telephones of this server")
    async def show(self, interaction: Interaction) -> None:
        lines = [await self._line(each) for each in await self._telephones(interaction) if _can_see(interaction, each)]
        text = fit_lines(lines) or tr("There is no telephone at the moment: `/telephone start` begins one.")
        await interaction.response.send_message(text, ephemeral=True, allowed_mentions=NO_MENTIONS)

    async def _line(self, session: Session) -> str:
        players = len(await self.handler.telephones.players(session.id))
        people = trn("{n} player", "{n} players", players)
        return f"📞 <#{session.place_id}> · {people}"

    async def _telephones(self, interaction: Interaction) -> list[Session]:
        assert interaction.guild_id is not None
        sessions = await self.client.services.db.sessions.active_in_guild(interaction.guild_id)
        return [each for each in sessions if each.kind is SessionKind.TELEPHONE]


class AgainButton(PersistentItem, template=rf"{PREFIX}:again:{SESSION}"):
    """Opens another game with the settings of one that has ended."""

    async def run(self, interaction: Interaction) -> None:
        found = await find_any_telephone(interaction, self.match["session"])
        kept = {name: found.session.settings.get(name) for name in KEPT_SETTINGS}
        defaults = {"players": 4, "seconds": PACES[FIVE_MINUTES], "in_thread": False}
        given = defaults | {name: value for name, value in kept.items() if value is not None}
        await open_lobby(interaction, found.handler, given | {"in_thread": False})


async def open_lobby(interaction: Interaction, handler: TelephoneHandler, wanted: Mapping[str, Any]) -> None:
    """Start a telephone: its host is the first player."""
    services = handler.services
    participant = participant_from(interaction, services.clock())
    session = await _begin(interaction, handler, participant, wanted)
    await handler.join(
        session,
        Player(
            session_id=session.id,
            person_id=interaction.user.id,
            name=interaction.user.name,
            roles=tuple(sorted(participant.context.role_ids)),
        ),
    )
    try:
        await _announce(interaction, handler, session)
    except Exception:
        await services.db.sessions.end(session.id, services.clock())
        raise


async def _begin(
    interaction: Interaction, handler: TelephoneHandler, participant: Participant, wanted: Mapping[str, Any]
) -> Session:
    services = handler.services
    settings = await require_host(services.policy, participant)
    if not settings.telephones:
        raise PolicyDenied(tr("The owners of this server want no picture telephones."))
    require_channel(interaction)
    if int(wanted["players"]) > settings.session_cost:
        raise PolicyDenied(
            trn(
                "A session may draw at most {n} picture here, so choose fewer players.",
                "A session may draw at most {n} pictures here, so choose fewer players.",
                settings.session_cost,
            )
        )
    params = await _params(interaction, handler)
    session = _session(interaction, participant, services.clock(), {**wanted, "params": to_dict(params)})
    if not await services.db.sessions.add(session, settings.sessions_at_once):
        raise PolicyDenied(tr("There are as many sessions in this channel as the server allows at once."))
    return session


async def _params(interaction: Interaction, handler: TelephoneHandler) -> Params:
    """Return what draws every picture of a game: the server's defaults, whoever writes.

    It is drawn at draft speed, unless the pictures of a small model would become too small to tell what they show.
    """
    assert interaction.guild_id is not None
    defaults = await load_server_defaults(handler.services, interaction.guild_id)
    request = defaults.parse("telephone --draft")
    if min(request.params.width, request.params.height) < MIN_SIDE:
        request = defaults.parse("telephone")
    (params,) = await handler.client.prompts.resolve_images(interaction, [request], None)
    return replace(params, count=1, video=False)


def _session(interaction: Interaction, participant: Participant, now: float, extra: Mapping[str, Any]) -> Session:
    assert interaction.guild_id is not None
    return Session(
        id=secrets.token_hex(6),
        kind=SessionKind.TELEPHONE,
        guild_id=interaction.guild_id,
        channel_id=interaction.channel_id or 0,
        host_id=interaction.user.id,
        phase=JOINING,
        due_at=now + float(extra["seconds"]),
        made_at=now,
        settings={
            "host_name": interaction.user.name,
            "channels": sorted(participant.context.channel_ids),
            "upload_limit": destination_from(interaction).upload_limit,
            **extra,
        },
    )


async def _announce(interaction: Interaction, handler: TelephoneHandler, session: Session) -> None:
    players = await handler.telephones.players(session.id)
    with audience(private=False):
        text, view = messages.lobby_text(session, players), messages.lobby_view(session, players)
    await interaction.response.send_message(text, view=view, allowed_mentions=NO_MENTIONS)
    message = await interaction.original_response()
    in_thread = bool(session.settings["in_thread"])
    thread_id = await _create_thread(interaction, message.id) if in_thread else None
    await handler.sessions.set_place(session.id, thread_id, message.id)
    handler.client.sessions.timer.wake()


async def _create_thread(interaction: Interaction, message_id: int) -> int | None:
    """Create the game's thread below its first message; return None where that is not allowed."""
    channel = interaction.channel
    if not isinstance(channel, discord.TextChannel) or not interaction.app_permissions.send_messages_in_threads:
        return None
    with audience(private=False):
        name = f"📞 {tr('Picture telephone')}"
    try:
        return (await channel.get_partial_message(message_id).create_thread(name=name)).id
    except discord.HTTPException:
        return None


def _can_see(interaction: Interaction, session: Session) -> bool:
    channel = interaction.guild.get_channel_or_thread(session.channel_id) if interaction.guild else None
    return (
        channel is not None
        and isinstance(interaction.user, discord.Member)
        and channel.permissions_for(interaction.user).view_channel
    )
