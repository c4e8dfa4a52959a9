"""Painting a piece: choose a place, say what is there, and place one of four candidates."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import discord

from bot.client import Interaction
from bot.discord_calls import NO_MENTIONS
from bot.jobs.destination import destination_from
from bot.policy.context import context_from
from bot.policy.policy import JobRequest, PolicyDenied
from bot.policy.visibility import allows_nsfw, nsfw_message
from bot.ui.dynamic_items import JOB_PATTERN, PersistentItem, persistent_view, selected_values
from bot.ui.errors import respond_ephemeral, user_message
from bot.ui.i18n import audience_locale, tr
from bot.ui.modals import ModalValues, PersistentModal, modals
from bot.ui.prompt_block import format_prompt_block
from bot.ui.text import truncate
from cogs.together.canvas import messages
from cogs.together.canvas.finding import FoundCanvas, FoundClaim, begin_private_answer, require_claim, require_open
from cogs.together.canvas.geometry import Place
from cogs.together.canvas.handler import CLAIM_S, PAUSE_S, CanvasHandler, newest_of
from cogs.together.canvas.messages import MAX_DRAWN, MAX_WORDS, PREFIX, SESSION
from cogs.together.canvas.standing import needs_spoiler
from db.jobs import JobState
from db.together.canvases import Claim
from db.together.sessions import Session
from generation.errors import UserError
from generation.job import Action, Job, Requester, Speed, new_job_id
from generation.models.capabilities import Capability
from generation.params import TILE_PATTERN, Params, from_dict
from generation.planning.actions import new_seed
from generation.planning.canvas import first_piece, next_piece, with_palette

PIECE, REWORD = "canvas_piece", "canvas_reword"  # modals
MAX_NAME = 30
PALETTE = "palette"  # among the settings of a canvas: whether its pieces hold to the colours of the first one


class PaintButton(PersistentItem, template=rf"{PREFIX}:paint:{SESSION}:(?P<page>\d+)"):
    """Shows privately where one can paint, or what one has begun."""

    async def run(self, interaction: Interaction) -> None:
        found = await require_open(interaction, self.match["session"])
        own = [each for each in found.standing.claims if each.person_id == interaction.user.id]
        if own:
            await _offer_again(interaction, found, own[0])
        else:
            await show_places(interaction, found, int(self.match["page"]))


async def show_places(interaction: Interaction, found: FoundCanvas, page: int) -> None:
    """Respond privately with the free places, in place of another page of them."""
    places = found.handler.places(found.standing, interaction.user.id)
    if not places:
        raise UserError(_why_no_place(found, interaction.user.id))
    await begin_private_answer(interaction)
    page = min(page, (len(places) - 1) // messages.PAGE_SIZE)
    standing, busy = found.standing, [(claim.x, claim.y) for claim in found.standing.claims]
    numbers = messages.numbered(places, page)
    picture = await found.handler.pictures.overview(standing.canvas, standing.cells, numbers, busy)
    file = _picture(picture, tr("The canvas with numbers where you can paint"), found)
    text, view = tr("🖌️ **Where do you want to paint?**"), messages.places_view(found.session.id, places, page)
    await interaction.edit_original_response(content=text, attachments=[file], view=view)


def _picture(data: bytes, description: str, found: FoundCanvas) -> discord.File:
    spoiler = needs_spoiler(found.handler.client, found.standing)
    return discord.File(io.BytesIO(data), "canvas.webp", spoiler=spoiler, description=description)


def _why_no_place(found: FoundCanvas, person_id: int) -> str:
    standing = found.standing
    if standing.claims:
        return tr("All places are being painted: try again in a moment.")
    if standing.canvas.neighbours and standing.pieces and standing.pieces[-1].person_id == person_id:
        return tr("You painted the last piece: now somebody else goes on from it.")
    return tr("There is no free place.")


async def _offer_again(interaction: Interaction, found: FoundCanvas, claim: Claim) -> None:
    """Show a person the candidates that they have not chosen from, or that they are still being drawn."""
    services = interaction.client.services
    record = await services.db.jobs.get(claim.job_id)
    if record is None or record.suffix is None or record.state not in (JobState.GENERATED, JobState.POSTED):
        text = tr("Your pictures for {words} are still being drawn.", words=messages.quoted(claim.words))
        view = persistent_view(messages.let_go_button(claim.job_id))
        await interaction.response.send_message(text, view=view, ephemeral=True, allowed_mentions=NO_MENTIONS)
        return
    image = await services.images.files.read_grid(claim.job_id, record.suffix)
    spoiler = record.sensitive and not allows_nsfw(interaction.client, interaction.channel_id)
    file = discord.File(io.BytesIO(image), f"candidates.{record.suffix}", spoiler=spoiler)
    view = messages.candidates_view(claim, record.job.params.count)
    text = messages.candidates_text(claim)
    await interaction.response.send_message(text, file=file, view=view, ephemeral=True, allowed_mentions=NO_MENTIONS)


class PlaceSelect(PersistentItem, template=rf"{PREFIX}:place:{SESSION}"):
    """Opens the form for the words of a piece."""

    async def run(self, interaction: Interaction) -> None:
        found = await require_open(interaction, self.match["session"])
        x, y = _parse_place(selected_values(interaction)[0])
        if (x, y) not in found.handler.places(found.standing, interaction.user.id):
            raise UserError(_taken())
        await interaction.response.send_modal(_words_form(f"{PIECE}:{found.session.id}:{x}:{y}", ""))


def _parse_place(text: str) -> Place:
    x, _, y = text.partition(":")
    if not (x.isdecimal() and y.isdecimal()):
        raise UserError(_taken())
    return int(x), int(y)


def _taken() -> str:
    return tr("Somebody else is painting there, or has painted there: choose another place.")


def _words_form(custom_id: str, words: str) -> PersistentModal:
    field = discord.ui.TextInput[Any](
        custom_id="words", default=words, max_length=MAX_WORDS, placeholder=tr("a whale asleep")
    )
    label = discord.ui.Label(text=tr("What is there?"), component=field)
    return PersistentModal(custom_id, tr("Paint here"), label)


def _typed_words(values: ModalValues) -> str:
    words = " ".join(values.texts.get("words", "").split())[:MAX_WORDS]
    if not words:
        raise UserError(tr("Type at least one word."))
    return words


@modals.route(PIECE)
async def on_piece(interaction: Interaction, rest: str, values: ModalValues) -> None:
    """Claim a place and have its candidates drawn, or give the words back."""
    words = _typed_words(values)
    session_id, _, place = rest.partition(":")
    try:
        found = await require_open(interaction, session_id)
        await _begin(interaction, found, _parse_place(place), words)
    except UserError as error:
        await _give_back(interaction, error, words)


async def _give_back(interaction: Interaction, error: UserError, words: str) -> None:
    content, files = format_prompt_block(user_message(error), words)
    await respond_ephemeral(interaction, content, files=files)


async def _begin(interaction: Interaction, found: FoundCanvas, place: Place, words: str) -> None:
    services, session = interaction.client.services, found.session
    theme = from_dict(session.settings["params"])
    await services.policy.check_words(session.guild_id, first_piece(theme, words, 0))
    await interaction.client.deferrals.defer(interaction, ephemeral=True)
    now = services.clock()
    claim = Claim(
        session_id=session.id,
        person_id=interaction.user.id,
        name=truncate(interaction.user.display_name, MAX_NAME),
        x=place[0],
        y=place[1],
        words=words,
        job_id=new_job_id(),
        at=now,
        until=now + CLAIM_S,
    )
    if not await found.handler.claim(claim):
        raise UserError(_why_not(found, interaction.user.id, now))
    try:
        await _draw(interaction, found.handler, session, claim)
    except BaseException:
        await found.handler.let_go(claim)
        raise
    await found.handler.changed(session.id)


def _why_not(found: FoundCanvas, person_id: int, now: float) -> str:
    last = newest_of(found.standing.pieces, person_id)
    if any(claim.person_id == person_id for claim in found.standing.claims):
        return tr("You are painting a piece already: place it, or let it go.")
    if last is not None and now - last.placed_at < PAUSE_S:
        return tr("Please wait half a minute after a piece, so that others can paint too.")
    return _taken()


async def _draw(interaction: Interaction, handler: CanvasHandler, session: Session, claim: Claim) -> None:
    """Submit the job that draws the candidates, in the name of their painter and only for them."""
    params = await _params(handler, session, claim)
    preferred = await interaction.client.services.db.preferences.get(interaction.user.id)
    action = Action.IMAGINE if params.source is None else Action.VARY_REGION
    job = Job(
        id=claim.job_id,
        action=action,
        params=params,
        requester=Requester(interaction.user.id, interaction.user.name),
        destination=destination_from(interaction, private=True),
        parent=None,
        asked_at=interaction.client.services.clock(),
        speed=preferred.speed,
        locale=audience_locale(private=True),
    )
    request = JobRequest(action=action, params=params, speed=Speed(preferred.speed))
    await interaction.client.jobs.submit_prepared(interaction, request, job)


async def _params(handler: CanvasHandler, session: Session, claim: Claim) -> Params:
    theme, place, files = from_dict(session.settings["params"]), (claim.x, claim.y), handler.services.images.files
    canvas, cells = await handler.canvases.get(session.id), await handler.canvases.cells_around(session.id, *place)
    if canvas is None or not cells:
        return first_piece(theme, claim.words, new_seed())
    square, mask = await handler.pictures.square_to_paint(canvas, theme.width, place, cells)
    source, white = await files.save_upload(square), await files.save_upload(mask)
    piece = next_piece(theme, claim.words, new_seed(), source, white)
    model = handler.services.registry.resolve(theme)
    if not session.settings.get(PALETTE) or Capability.STYLE not in model.capabilities or theme.style is not None:
        return piece
    first = await handler.pictures.first_piece(canvas, await handler.canvases.cells_of_first_piece(session.id))
    return with_palette(piece, await files.save_upload(first))


class TakeButton(PersistentItem, template=rf"{PREFIX}:take:{TILE_PATTERN}"):
    """Places a candidate on the canvas."""

    async def run(self, interaction: Interaction) -> None:
        found = await require_claim(interaction, self.job_id)
        record = await interaction.client.services.db.jobs.get(self.job_id)
        if record is None or self.tile.index >= record.job.params.count:
            raise UserError(tr("This picture is no longer stored."))
        if record.sensitive and not allows_nsfw(interaction.client, found.session.channel_id):
            raise PolicyDenied(nsfw_message())
        # Everybody reads them from now on, and they may have been blocked since they were drawn.
        await interaction.client.services.policy.check_words(found.session.guild_id, record.job.params)
        await interaction.response.defer()
        piece = await found.handler.place(found.claim, self.tile.index, sensitive=record.sensitive)
        if piece is None:
            raise UserError(tr("This piece is placed already."))
        text = tr("🖌️ {words} is on the canvas.", words=messages.quoted(piece.words))
        view = messages.undo_view(found.session.id, piece.number)
        await interaction.edit_original_response(
            content=text, attachments=[], embeds=[], view=view, allowed_mentions=NO_MENTIONS
        )


class AgainButton(PersistentItem, template=rf"{PREFIX}:again:{JOB_PATTERN}"):
    """Draws other candidates for the same words."""

    async def run(self, interaction: Interaction) -> None:
        found = await require_claim(interaction, self.job_id)
        await _draw_again(interaction, found, found.claim.words)


class RewordButton(PersistentItem, template=rf"{PREFIX}:reword:{JOB_PATTERN}"):
    """Opens the form for other words."""

    async def run(self, interaction: Interaction) -> None:
        found = await require_claim(interaction, self.job_id)
        await interaction.response.send_modal(_words_form(f"{REWORD}:{self.job_id}", found.claim.words))


@modals.route(REWORD)
async def on_reword(interaction: Interaction, job_id: str, values: ModalValues) -> None:
    """Draw candidates for other words, or give the words back."""
    words = _typed_words(values)
    try:
        await _draw_again(interaction, await require_claim(interaction, job_id), words)
    except UserError as error:
        await _give_back(interaction, error, words)


async def _draw_again(interaction: Interaction, found: FoundClaim, words: str) -> None:
    services, canvases, session = interaction.client.services, found.handler.canvases, found.session
    if interaction.guild_id is None:
        raise UserError(tr("Press 🖌️ below the canvas to go on from there."))
    await services.policy.check_access(context_from(interaction))
    await services.policy.check_words(session.guild_id, first_piece(from_dict(session.settings["params"]), words, 0))
    again = replace(found.claim, job_id=new_job_id(), words=words)
    if not await canvases.draw_again(found.claim, words, again.job_id, MAX_DRAWN):
        raise UserError(tr("These pictures cannot be drawn again: place one, or let it go."))
    await interaction.client.deferrals.defer(interaction, ephemeral=True)
    try:
        await _draw(interaction, found.handler, session, again)
    except BaseException:
        await canvases.take_back(found.claim, again.job_id)
        raise


class LetGoButton(PersistentItem, template=rf"{PREFIX}:let_go:{JOB_PATTERN}"):
    """Gives a place back."""

    async def run(self, interaction: Interaction) -> None:
        found = await require_claim(interaction, self.job_id)
        await found.handler.let_go(found.claim)
        text = tr("The place is free again.")
        await interaction.response.edit_message(content=text, attachments=[], embeds=[], view=None)


class UndoButton(PersistentItem, template=rf"{PREFIX}:undo:{SESSION}:(?P<number>\d+)"):
    """Takes one's last piece back, soon after it was placed."""

    async def run(self, interaction: Interaction) -> None:
        found = await require_open(interaction, self.match["session"])
        piece = next((each for each in found.standing.pieces if each.number == int(self.match["number"])), None)
        if piece is None or piece.person_id != interaction.user.id:
            raise UserError(tr("This piece is not on the canvas any more."))
        if not await found.handler.undo(piece):
            raise UserError(tr("It is too late: ten minutes have passed, or somebody has gone on from there."))
        text = tr("{words} is off the canvas again.", words=messages.quoted(piece.words))
        await interaction.response.edit_message(content=text, view=None, allowed_mentions=NO_MENTIONS)


ITEMS: Sequence[type[PersistentItem]] = (
    PaintButton,
    PlaceSelect,
    TakeButton,
    AgainButton,
    RewordButton,
    LetGoButton,
    UndoButton,
)
