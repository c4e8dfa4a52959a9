"""/jam: a room draws one picture, round by round."""

from __future__ import annotations

import secrets
from typing import Any, Literal

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.discord_calls import NO_MENTIONS
from bot.jobs.destination import destination_from
from bot.jobs.requests import infer_action
from bot.policy.policy import JobRequest, PolicyDenied, RequestContext
from bot.policy.sessions import participant_from, require_cost, require_host
from bot.services import Services
from bot.sessions.jobs import round_job_id
from bot.ui.errors import respond_ephemeral, user_message
from bot.ui.i18n import audience, tr
from bot.ui.prompt_block import format_prompt_block
from bot.ui.text import fit_lines
from cogs.together.jam import messages
from cogs.together.jam.buttons import end_jam
from cogs.together.jam.handler import DRAWING, JamHandler, progress_text
from cogs.together.server_group import require_channel, server_group
from db.together.sessions import Round, Session, SessionKind
from generation.errors import UserError
from generation.job import Speed
from generation.params import Params, to_dict

MAX_PROMPT = 1500  # characters


class JamCommand(commands.Cog):
    """Start, end and list jams."""

    jam = server_group("jam", "The room draws one picture, round by round")

    def __init__(self, client: Client) -> None:
        self.client = client
        self.handler = JamHandler(client)

    async def cog_load(self) -> None:
        """Take the steps of jams from now on."""
        self.client.sessions.register(self.handler)
        self.client.services.db.jobs.subscribe(self.handler.on_state_change)
        self.client.jobs.runner.presenters.append(self.handler.present)

    async def cog_unload(self) -> None:
        """Leave the store, which outlives this client."""
        self.client.services.db.jobs.unsubscribe(self.handler.on_state_change)

    @jam.command(description="Start a jam: everybody votes which picture goes on, and with whose words")
    @app_commands.describe(
        prompt="What to draw, then parameters such as --ar 3:2",
        rounds="How many rounds, usually 5",
        minutes="How long a round lasts, usually 3",
        who="Only this role may vote",
        image="A picture to start from",
        where="In a thread of its own, or here",
    )
    async def start(
        self,
        interaction: Interaction,
        prompt: app_commands.Range[str, 1, MAX_PROMPT],
        rounds: app_commands.Range[int, 2, 12] = 5,
        minutes: app_commands.Range[int, 1, 60] = 3,
        who: discord.Role | None = None,
        image: discord.Attachment | None = None,
        where: Literal["thread", "here"] = "thread",
    ) -> None:
        try:
            session = await self._begin(interaction, prompt, image, rounds, minutes, who)
        except UserError as error:
            content, files = format_prompt_block(user_message(error), prompt)
            await respond_ephemeral(interaction, content, files=files)
            return
        try:
            await self._announce(interaction, session, in_thread=where == "thread")
        except Exception:
            await self.client.services.db.sessions.end(session.id, self.client.services.clock())
            raise

    async def _begin(
        self,
        interaction: Interaction,
        prompt: str,
        image: discord.Attachment | None,
        rounds: int,
        minutes: int,
        who: discord.Role | None,
    ) -> Session:
        """Store a new jam with its first round, or raise UserError."""
        services = self.client.services
        participant = participant_from(interaction, services.clock())
        settings = await require_host(services.policy, participant)
        require_channel(interaction)
        require_cost(settings, rounds)
        await require_room(services, participant.context, rounds)
        params, speed = await self._params(interaction, prompt, image)
        typed = params.parts[0].text
        extra: dict[str, Any] = {"prompt": typed, "params": to_dict(params), "speed": speed or Speed.FAST}
        session = _session(interaction, services.clock(), rounds, minutes, who, extra)
        await services.policy.authorize(participant.context, _request(params, speed))
        if not await services.db.sessions.add(session, settings.sessions_at_once):
            raise PolicyDenied(tr("There are as many sessions in this channel as the server allows at once."))
        await services.db.sessions.add_round(
            Round(
                session_id=session.id,
                number=1,
                job_id=round_job_id(session.id, 1),
                facts={"action": infer_action(params)},
            )
        )
        return session

    async def _params(
        self, interaction: Interaction, prompt: str, image: discord.Attachment | None
    ) -> tuple[Params, Speed | None]:
        with_image = image is not None
        requests = await self.client.prompts.parse(interaction, prompt, with_image=with_image, ignored=("repeat",))
        if len(requests) != 1:
            raise UserError(tr("A jam starts from one grid: leave out `--repeat` and choices in braces."))
        (request,) = requests
        if request.private:
            raise UserError(tr("A jam is for everybody to see: leave out `--stealth`."))
        if image is not None or request.has_links:
            await self.client.deferrals.defer(interaction, ephemeral=False)
        uploads = self.client.services.images.uploads
        attached = await uploads.import_attachment(image) if image is not None else None
        (params,) = await self.client.prompts.resolve_images(interaction, requests, attached)
        return params, request.speed

    async def _announce(self, interaction: Interaction, session: Session, *, in_thread: bool) -> None:
        settings = session.settings
        with audience(private=False):
            text = messages.announcement(
                session.host_id, str(settings["prompt"]), int(settings["rounds"]), int(settings["minutes"])
            )
        if interaction.response.is_done():
            await interaction.edit_original_response(content=text, allowed_mentions=NO_MENTIONS)
        else:
            await interaction.response.send_message(text, allowed_mentions=NO_MENTIONS)
        message = await interaction.original_response()
        thread_id = await self._create_thread(interaction, message.id, str(settings["prompt"])) if in_thread else None
        await self.client.services.db.sessions.set_place(session.id, thread_id, message.id)
        placed = await self.client.services.db.sessions.get(session.id)
        if placed is not None:
            with audience(private=False):
                await self.handler.draw(placed)
        await respond_ephemeral(interaction, messages.cost_note(int(settings["rounds"])))

    async def _create_thread(self, interaction: Interaction, message_id: int, prompt: str) -> int | None:
        """Create the jam's thread below its announcement; return None where that is not allowed."""
        channel = interaction.channel
        if not isinstance(channel, discord.TextChannel) or not interaction.app_permissions.send_messages_in_threads:
            return None
        try:
            name = messages.thread_name(prompt)
            return (await channel.get_partial_message(message_id).create_thread(name=name)).id
        except discord.HTTPException:
            return None

    @jam.command(description="End the jam in this channel")
    async def end(self, interaction: Interaction) -> None:
        found = [each for each in await self._jams(interaction) if interaction.channel_id in _places(each)]
        own = [each for each in found if each.host_id == interaction.user.id] or found
        if not own:
            raise UserError(tr("There is no jam in this channel."))
        await end_jam(interaction, self.handler, own[0])

    @jam.command(name="list", description="The jams of this server")
    async def show(self, interaction: Interaction) -> None:
        lines = [progress_text(each) for each in await self._jams(interaction) if _can_see(interaction, each)]
        text = fit_lines(lines) or tr("There is no jam at the moment: `/jam start` begins one.")
        await interaction.response.send_message(text, ephemeral=True, allowed_mentions=NO_MENTIONS)

    async def _jams(self, interaction: Interaction) -> list[Session]:
        assert interaction.guild_id is not None
        sessions = await self.client.services.db.sessions.active_in_guild(interaction.guild_id)
        return [each for each in sessions if each.kind is SessionKind.JAM]


async def require_room(services: Services, context: RequestContext, rounds: int) -> None:
    """Raise PolicyDenied if all rounds would not fit into the host's jobs of a day."""
    usage, limits = await services.policy.usage(context)
    if limits.jobs_a_day is not None and usage.jobs + rounds > limits.jobs_a_day:
        raise PolicyDenied(
            tr(
                "A jam of {rounds} rounds draws up to {rounds} grids in your name, and you have {left} left for today.",
                rounds=rounds,
                left=max(0, limits.jobs_a_day - usage.jobs),
            )
        )


def _request(params: Params, speed: Speed | None) -> JobRequest:
    return JobRequest(
        action=infer_action(params), params=params, speed=speed or Speed.FAST, speed_is_explicit=speed is not None
    )


def _session(
    interaction: Interaction, now: float, rounds: int, minutes: int, who: discord.Role | None, extra: dict[str, Any]
) -> Session:
    person = interaction.user
    context = participant_from(interaction, now).context
    assert interaction.guild_id is not None
    return Session(
        id=secrets.token_hex(6),
        kind=SessionKind.JAM,
        guild_id=interaction.guild_id,
        channel_id=interaction.channel_id or 0,
        host_id=person.id,
        phase=DRAWING,
        round=1,
        made_at=now,
        settings={
            "rounds": rounds,
            "minutes": minutes,
            "role": who.id if who and not who.is_default() else None,
            "host_name": person.name,
            "roles": sorted(context.role_ids),
            "channels": sorted(context.channel_ids),
            "upload_limit": destination_from(interaction).upload_limit,
        }
        | extra,
    )


def _places(session: Session) -> tuple[int, int | None]:
    return session.channel_id, session.thread_id


def _can_see(interaction: Interaction, session: Session) -> bool:
    channel = interaction.guild.get_channel_or_thread(session.channel_id) if interaction.guild else None
    return (
        channel is not None
        and isinstance(interaction.user, discord.Member)
        and channel.permissions_for(interaction.user).view_channel
    )
