"""/canvas: start a canvas, look at it, and finish it."""

from __future__ import annotations

import secrets
from typing import Any, Literal

from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.discord_calls import NO_MENTIONS
from bot.jobs.destination import destination_from
from bot.jobs.requests import infer_action
from bot.policy.policy import JobRequest, PolicyDenied
from bot.policy.sessions import (
    can_moderate_session,
    log_session_moderation,
    participant_from,
    require_host,
)
from bot.ui.errors import respond_ephemeral, user_message
from bot.ui.i18n import audience, tr
from bot.ui.prompt_block import format_prompt_block
from cogs.together.canvas import messages
from cogs.together.canvas.finding import FoundCanvas, find_canvas
from cogs.together.canvas.handler import IDLE_S, CanvasHandler
from cogs.together.canvas.painting import PALETTE
from cogs.together.server_group import require_channel, server_group
from db.together.canvases import PAINTING, Canvas
from db.together.sessions import Session, SessionKind
from generation.errors import UserError
from generation.models.capabilities import Capability
from generation.params import Params, to_dict
from generation.planning.canvas import cell_side
from generation.planning.image_prompts import has_character

MAX_PROMPT = 1500  # characters
IGNORED_DEFAULTS = ("aspect", "hd", "draft", "seamless", "repeat")  # a canvas is made of squares, one by one


class CanvasCommand(commands.Cog):
    """Start, show and finish canvases."""

    canvas = server_group("canvas", "One large picture by many hands, piece by piece")

    def __init__(self, client: Client) -> None:
        self.client, self.services = client, client.services
        self.handler = CanvasHandler(client)

    async def cog_load(self) -> None:
        """Take the steps of canvases from now on."""
        self.client.sessions.register(self.handler)
        self.services.db.jobs.subscribe(self.handler.on_state_change)
        self.client.jobs.runner.presenters.append(self.handler.present)
        self.client.jobs.runner.composers.append(self.handler.finishing.compose)

    async def cog_unload(self) -> None:
        """Leave the store, which outlives this client."""
        self.services.db.jobs.unsubscribe(self.handler.on_state_change)
        await self.handler.stop()

    @canvas.command(description="Start a canvas: everybody paints pieces of one large picture")
    @app_commands.describe(
        theme="What the picture is about, then parameters such as --stylize 200",
        width="Cells from left to right, usually 8; a piece has two by two",
        height="Cells from top to bottom, usually 8",
        order="Go on from other people's pieces only, or freely",
        colours="Hold to the colours of the first piece, or not",
    )
    async def start(
        self,
        interaction: Interaction,
        theme: app_commands.Range[str, 1, MAX_PROMPT],
        width: app_commands.Range[int, 3, 16] = 8,
        height: app_commands.Range[int, 3, 16] = 8,
        order: Literal["neighbours", "free"] = "neighbours",
        colours: Literal["hold", "free"] = "hold",
    ) -> None:
        neighbours, holds_palette = order == "neighbours", colours == "hold"
        try:
            session = await self._begin(
                interaction, theme, width, height, neighbours=neighbours, holds_palette=holds_palette
            )
        except UserError as error:
            content, files = format_prompt_block(user_message(error), theme)
            await respond_ephemeral(interaction, content, files=files)
            return
        try:
            await self._announce(interaction, session)
        except Exception:
            await self.services.db.sessions.end(session.id, self.services.clock())
            raise

    async def _begin(
        self, interaction: Interaction, theme: str, columns: int, rows: int, *, neighbours: bool, holds_palette: bool
    ) -> Session:
        """Store a new canvas, or raise UserError."""
        participant = participant_from(interaction, self.services.clock())
        settings = await require_host(self.services.policy, participant)
        if not settings.canvases:
            raise PolicyDenied(tr("The owners of this server want no canvases."))
        params = await self._params(interaction, theme)
        request = JobRequest(action=infer_action(params), params=params)
        await self.services.policy.authorize(participant.context, request)
        session = self._session(interaction, params, holds_palette=holds_palette)
        canvas = Canvas(
            session_id=session.id, columns=columns, rows=rows, cell=cell_side(params.width), neighbours=neighbours
        )
        require_channel(interaction)
        if not await self.services.db.sessions.add(session, settings.sessions_at_once):
            raise PolicyDenied(tr("There are as many sessions in this channel as the server allows at once."))
        await self.services.db.canvases.add(canvas)
        return session

    async def _params(self, interaction: Interaction, theme: str) -> Params:
        requests = await self.client.prompts.parse(interaction, theme, with_image=False, ignored=IGNORED_DEFAULTS)
        if len(requests) != 1:
            raise UserError(tr("A canvas has one theme: leave out `--repeat` and choices in braces."))
        (request,) = requests
        if request.private:
            raise UserError(tr("A canvas is for everybody to see: leave out `--stealth`."))
        if request.has_links:
            raise UserError(tr("A canvas begins empty: leave out the links to pictures."))
        if request.params.controls:
            raise UserError(tr("Each piece of a canvas would follow the whole picture: leave out `--control`."))
        if has_character(request.params):  # `--cw 0` does without a preferred one
            raise UserError(tr("Each piece of a canvas would show the character: leave out `--cref`, or add `--cw 0`."))
        (params,) = await self.client.prompts.resolve_images(interaction, requests, None)
        model = self.services.registry.resolve(params)
        if params.aspect != (1, 1) or params.hd or params.draft or params.seamless:
            raise UserError(tr("A canvas is made of squares: leave out `--ar`, `--hd`, `--draft` and `--tile`."))
        if Capability.INPAINT not in model.capabilities:
            raise UserError(tr("This model cannot go on from a picture: choose another `--model`."))
        return params

    def _session(self, interaction: Interaction, params: Params, *, holds_palette: bool) -> Session:
        person, now = interaction.user, self.services.clock()
        context = participant_from(interaction, now).context
        assert interaction.guild_id is not None
        settings: dict[str, Any] = {
            "theme": params.parts[0].text,
            "params": to_dict(params),
            PALETTE: holds_palette,
            "host_name": person.name,
            "roles": sorted(context.role_ids),
            "channels": sorted(context.channel_ids),
            "upload_limit": destination_from(interaction).upload_limit,
        }
        return Session(
            id=secrets.token_hex(6),
            kind=SessionKind.CANVAS,
            guild_id=interaction.guild_id,
            channel_id=interaction.channel_id or 0,
            host_id=person.id,
            phase=PAINTING,
            made_at=now,
            settings=settings,
        )

    async def _announce(self, interaction: Interaction, session: Session) -> None:
        standing = await self.handler.message.standing(session)
        assert standing is not None, "stored a moment ago"
        with audience(private=False):
            text, view = messages.standing_text(standing), messages.standing_view(session)
            file = await self.handler.message.picture(standing)
        await interaction.response.send_message(text, view=view, file=file, allowed_mentions=NO_MENTIONS)
        message = await interaction.original_response()
        await self.services.db.sessions.set_place(session.id, None, message.id)
        await self.handler.canvases.set_due(session.id, IDLE_S)
        await respond_ephemeral(
            interaction,
            tr("Each piece costs its painter one grid. `/canvas finish` finishes the canvas."),
        )

    @canvas.command(description="The canvas of this channel: where it stands, and its buttons")
    async def look(self, interaction: Interaction) -> None:
        found = await self._require_here(interaction)
        text, view = messages.standing_text(found.standing), messages.standing_view(found.session)
        file = await self.handler.message.picture(found.standing)
        await interaction.response.send_message(
            text, file=file, view=view, ephemeral=True, allowed_mentions=NO_MENTIONS
        )

    @canvas.command(description="Finish the canvas of this channel: for who started it, and moderators")
    async def finish(self, interaction: Interaction) -> None:
        found = await self._require_here(interaction)
        session = found.session
        if not session.host_id:  # who had their data deleted: the timer is about to end it
            raise UserError(tr("This canvas is finished."))
        if interaction.user.id != session.host_id and not can_moderate_session(interaction, session):
            raise PolicyDenied(tr("Only {whom} or a moderator can finish the canvas.", whom=f"<@{session.host_id}>"))
        await respond_ephemeral(interaction, tr("🏁 The canvas is being finished."))
        await log_session_moderation(
            self.services.db.guilds, session, interaction.user.id, "finished it", self.services.clock()
        )
        await self.handler.finish(session)

    async def _require_here(self, interaction: Interaction) -> FoundCanvas:
        assert interaction.guild_id is not None
        sessions = await self.services.db.sessions.active_in_guild(interaction.guild_id)
        here = [
            each
            for each in sessions
            if each.kind is SessionKind.CANVAS and interaction.channel_id in (each.channel_id, each.thread_id)
        ]
        if not here:
            raise UserError(tr("There is no canvas in this channel: `/canvas start` begins one."))
        newest = max(here, key=lambda each: each.made_at)
        return await find_canvas(interaction, newest.id)
