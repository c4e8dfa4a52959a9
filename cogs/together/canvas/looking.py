"""Looking at a canvas: parts of it at full size, who did what, and what moderators can take out."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import discord

from bot.client import Interaction
from bot.discord_calls import NO_MENTIONS
from bot.policy.policy import PolicyDenied
from bot.policy.sessions import can_moderate_session, log_session_moderation
from bot.ui.dynamic_items import PersistentItem, persistent_view, selected_values
from bot.ui.i18n import tr
from bot.ui.text import truncate
from cogs.together.canvas import messages
from cogs.together.canvas.finding import FoundCanvas, begin_private_answer, find_canvas, require_open
from cogs.together.canvas.messages import PIECES_PAGE, PREFIX, SESSION, Button, Select
from cogs.together.canvas.standing import needs_spoiler
from db.together.ballots import Ballot
from db.together.canvases import PAINTING
from generation.errors import UserError

WINDOWS = (0, 6, 3)  # cells of a side that are shown; 0 is the whole canvas
MAX_LABEL = 100


class LookButton(PersistentItem, template=rf"{PREFIX}:look:{SESSION}:(?P<x>\d+):(?P<y>\d+):(?P<zoom>[0-2])"):
    """Shows a part of the canvas privately, and the ways to the others."""

    async def run(self, interaction: Interaction) -> None:
        found = await find_canvas(interaction, self.match["session"])
        await show_part(interaction, found, (int(self.match["x"]), int(self.match["y"])), int(self.match["zoom"]))


async def show_part(interaction: Interaction, found: FoundCanvas, corner: tuple[int, int], zoom: int) -> None:
    """Respond privately with a part of the canvas, in place of another part."""
    await begin_private_answer(interaction)
    canvas, standing = found.standing.canvas, found.standing
    columns, rows = (min(WINDOWS[zoom] or side, side) for side in (canvas.columns, canvas.rows))
    x, y = min(corner[0], canvas.columns - columns), min(corner[1], canvas.rows - rows)
    data = await found.handler.pictures.window(canvas, standing.cells, (x, y), columns, rows)
    spoiler = needs_spoiler(interaction.client, standing)
    file = discord.File(io.BytesIO(data), "part.webp", spoiler=spoiler, description=tr("A part of the canvas"))
    view = _look_view(found, (x, y), zoom, (columns, rows))
    text = f"🔭 **{messages.theme_of(found.session)}**"
    await interaction.edit_original_response(content=text, attachments=[file], view=view)


def _look_view(found: FoundCanvas, corner: tuple[int, int], zoom: int, size: tuple[int, int]) -> discord.ui.View:
    canvas, (x, y), (columns, rows) = found.standing.canvas, corner, size
    step = max(1, WINDOWS[zoom] // 2)

    def button(emoji: str, to: tuple[int, int], level: int, row: int, *, enabled: bool) -> Button:
        custom_id = f"{PREFIX}:look:{found.session.id}:{to[0]}:{to[1]}:{level}"
        return Button(emoji=emoji, custom_id=custom_id, row=row, disabled=not enabled)

    left, up = (max(0, x - step), y), (x, max(0, y - step))
    moves: list[discord.ui.Item[Any]] = [
        button("⬅️", left, zoom, 0, enabled=x > 0),
        button("➡️", (x + step, y), zoom, 0, enabled=x + columns < canvas.columns),
        button("⬆️", up, zoom, 0, enabled=y > 0),
        button("⬇️", (x, y + step), zoom, 0, enabled=y + rows < canvas.rows),
    ]
    centre = (x + columns // 2, y + rows // 2)
    nearer, wider = min(zoom + 1, len(WINDOWS) - 1), max(zoom - 1, 0)
    zooms: list[discord.ui.Item[Any]] = [
        button("➕", _around(centre, WINDOWS[nearer]), nearer, 1, enabled=zoom < nearer),
        button("➖", _around(centre, WINDOWS[wider]), wider, 1, enabled=zoom > 0),
    ]
    return persistent_view(*_distinct([*moves, *zooms]))


def _around(centre: tuple[int, int], side: int) -> tuple[int, int]:
    return max(0, centre[0] - side // 2), max(0, centre[1] - side // 2)


def _distinct(items: Sequence[discord.ui.Item[Any]]) -> list[discord.ui.Item[Any]]:
    """Return items without those that lead to where another one leads: Discord wants distinct custom_ids."""
    found: dict[str, discord.ui.Item[Any]] = {}
    for number, item in enumerate(items):
        assert isinstance(item, discord.ui.Button) and item.custom_id is not None
        if item.disabled:
            item.custom_id = f"{PREFIX}:no:{number}"
        found.setdefault(item.custom_id, item)
    return list(found.values())


class WhoButton(PersistentItem, template=rf"{PREFIX}:who:{SESSION}:(?P<page>\d+)"):
    """Shows privately who painted what; moderators can take pieces out here."""

    async def run(self, interaction: Interaction) -> None:
        found = await find_canvas(interaction, self.match["session"])
        await show_pieces(interaction, found, int(self.match["page"]))


async def show_pieces(interaction: Interaction, found: FoundCanvas, page: int) -> None:
    """Respond privately with a page of the pieces, in place of another page."""
    standing = found.standing
    last = max(0, (len(standing.pieces) - 1) // PIECES_PAGE)
    page = min(page, last)
    items: list[discord.ui.Item[Any]] = []
    if can_moderate_session(interaction, found.session) and standing.pieces:
        items.append(_out_select(found, page))
    for emoji, to in (("⬅️", page - 1), ("➡️", page + 1)):
        if 0 <= to <= last:
            items.append(Button(emoji=emoji, custom_id=f"{PREFIX}:who:{found.session.id}:{to}", row=1))
    await begin_private_answer(interaction)
    await interaction.edit_original_response(
        content=messages.pieces_text(standing, page),
        attachments=[await _credit_map(found)] if standing.pieces else [],
        view=persistent_view(*items),
        allowed_mentions=NO_MENTIONS,
    )


async def _credit_map(found: FoundCanvas) -> discord.File:
    standing = found.standing
    data = await found.handler.pictures.credit_map(standing.canvas, standing.cells, standing.pieces, standing.names())
    description, spoiler = tr("Who painted what, in colours"), needs_spoiler(found.handler.client, standing)
    return discord.File(io.BytesIO(data), "credits.webp", spoiler=spoiler, description=description)


def _out_select(found: FoundCanvas, page: int) -> Select:
    select = Select(placeholder=tr("Take a piece out…"), custom_id=f"{PREFIX}:out:{found.session.id}:{page}", row=0)
    pieces = list(reversed(found.standing.pieces))[page * PIECES_PAGE : (page + 1) * PIECES_PAGE]
    for piece in pieces:
        name = piece.name if found.standing.author(piece) else tr("somebody")
        select.add_option(label=truncate(f'"{piece.words}" — {name}', MAX_LABEL), value=str(piece.number))
    return select


class OutSelect(PersistentItem, template=rf"{PREFIX}:out:{SESSION}:(?P<page>\d+)"):
    """Takes a piece out, for moderators; its cells are free again."""

    async def run(self, interaction: Interaction) -> None:
        found = await find_canvas(interaction, self.match["session"])
        session, services = found.session, interaction.client.services
        if not can_moderate_session(interaction, session):
            raise PolicyDenied(tr("Only a moderator can do this."))
        number = int(selected_values(interaction)[0])
        piece = next((each for each in found.standing.pieces if each.number == number), None)
        if piece is None or not await found.handler.take_out(session, number):
            raise UserError(tr("This piece is not on the canvas any more."))
        action = f"took out a piece of <@{piece.person_id}>"
        await log_session_moderation(services.db.guilds, session, interaction.user.id, action, services.clock())
        text = tr("{words} is off the canvas.", words=messages.quoted(piece.words))
        await interaction.response.edit_message(content=text, attachments=[], view=None, allowed_mentions=NO_MENTIONS)


class FinishVote(PersistentItem, template=rf"{PREFIX}:finish:{SESSION}"):
    """Votes for finishing, or takes the vote back; enough of the last painters finish the canvas."""

    async def run(self, interaction: Interaction) -> None:
        found = await require_open(interaction, self.match["session"])
        handler, session, services = found.handler, found.session, interaction.client.services
        if all(piece.person_id != interaction.user.id for piece in found.standing.pieces):
            raise PolicyDenied(tr("Who has painted here decides when the canvas is finished."))
        own = await services.db.ballots.of_person(session.id, 0, interaction.user.id)
        ballot = Ballot(
            session_id=session.id,
            round=0,
            person_id=interaction.user.id,
            kind="finish",
            choice="no" if own.get("finish") == "yes" else "yes",
            at=services.clock(),
        )
        await services.db.ballots.vote(ballot, PAINTING)
        standing = await handler.message.standing(session) or found.standing
        text = _vote_text(standing.agreed, standing.needed, agrees=ballot.choice == "yes")
        await interaction.response.send_message(text, ephemeral=True)
        if standing.agreed >= standing.needed:
            await handler.finish(session)
        else:
            handler.message.refresh(session.id)


def _vote_text(agreed: int, needed: int, *, agrees: bool) -> str:
    if agreed >= needed:
        return tr("🏁 The canvas is being finished.")
    if agrees:
        return tr("🏁 You want to finish: {agreed} of {needed}. Press it again to go on.", agreed=agreed, needed=needed)
    return tr("🖌️ You want to go on painting.")


ITEMS: Sequence[type[PersistentItem]] = (LookButton, WhoButton, OutSelect, FinishVote)
