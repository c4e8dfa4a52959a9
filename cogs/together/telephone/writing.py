"""The turn of a player: see the last picture privately, write what it is, or pass."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import discord

from bot.client import Interaction
from bot.discord_calls import NO_MENTIONS
from bot.images.telephone_strip import without_words
from bot.policy.policy import JobRequest, PolicyDenied
from bot.policy.visibility import allows_nsfw
from bot.sessions.jobs import person_context
from bot.ui.dynamic_items import PersistentItem
from bot.ui.errors import respond_ephemeral, user_message
from bot.ui.i18n import audience, tr
from bot.ui.modals import ModalValues, PersistentModal, modals
from bot.ui.prompt_block import format_prompt_block
from cogs.together.telephone import messages
from cogs.together.telephone.finding import FoundTelephone, find_telephone, require_member
from cogs.together.telephone.messages import MAX_WORDS, PREFIX, SESSION
from cogs.together.telephone.phases import TURN, written
from cogs.together.telephone.steps import Step
from db.together.sessions import Round
from db.together.telephones import Player
from generation.errors import UserError

MODAL = "telephone_words"
NUMBER = r"(?P<number>\d+)"


async def require_turn(interaction: Interaction, session_id: str, number: int) -> tuple[FoundTelephone, Round]:
    """Return the game and the turn of a press; raise UserError if it is over, or another player's."""
    found = await find_telephone(interaction, session_id)
    await require_member(interaction, found.session)
    made = await found.handler.sessions.round(session_id, number)
    if made is None or found.session.phase != TURN or found.session.round != number:
        raise UserError(tr("This turn is over."))
    if made.worded_by != interaction.user.id:
        raise PolicyDenied(tr("It is the turn of {whom}.", whom=messages.whom(made.worded_by)))
    return found, made


class TurnButton(PersistentItem, template=rf"{PREFIX}:turn:{SESSION}:{NUMBER}:(?P<attempt>\d+)"):
    """Shows a player the last picture privately; the first player gets the modal at once."""

    async def run(self, interaction: Interaction) -> None:
        found, made = await require_turn(interaction, self.match["session"], int(self.match["number"]))
        last = await found.handler.last_picture(found.session)
        if last is None:
            await interaction.response.send_modal(_modal(made, is_first=True))
        else:
            await self._show(interaction, found, made, last)

    async def _show(self, interaction: Interaction, found: FoundTelephone, made: Round, last: Step) -> None:
        image = await found.handler.services.images.files.read(last.tile)
        picture = await asyncio.to_thread(without_words, image)
        spoiler = last.record.sensitive and not allows_nsfw(interaction.client, interaction.channel_id)
        file = discord.File(io.BytesIO(picture), "picture.jpg", spoiler=spoiler, description=tr("The last picture"))
        await interaction.response.send_message(
            tr("What is this? Your words are drawn, and the next one sees only that."),
            file=file,
            view=messages.looking_view(made),
            ephemeral=True,
            allowed_mentions=NO_MENTIONS,
        )


def _modal(made: Round, *, is_first: bool) -> PersistentModal:
    field = discord.ui.TextInput[Any](
        custom_id="words", max_length=MAX_WORDS, placeholder=tr("a whale asleep under a red moon")
    )
    text = tr("What should be drawn?") if is_first else tr("What is in the picture?")
    label = discord.ui.Label(text=text, component=field)
    return PersistentModal(f"{MODAL}:{made.session_id}:{made.number}", tr("Picture telephone"), label)


class WriteButton(PersistentItem, template=rf"{PREFIX}:write:{SESSION}:{NUMBER}"):
    """Opens the modal for the words."""

    async def run(self, interaction: Interaction) -> None:
        _, made = await require_turn(interaction, self.match["session"], int(self.match["number"]))
        await interaction.response.send_modal(_modal(made, is_first=False))


class PassButton(PersistentItem, template=rf"{PREFIX}:pass:{SESSION}:{NUMBER}"):
    """Gives the turn to the next player."""

    async def run(self, interaction: Interaction) -> None:
        found, _ = await require_turn(interaction, self.match["session"], int(self.match["number"]))
        if not await found.handler.skip(found.session):
            raise UserError(tr("This turn is over."))
        await interaction.response.edit_message(content=tr("You pass."), attachments=[], view=None)


@modals.route(MODAL)
async def on_words(interaction: Interaction, turn: str, values: ModalValues) -> None:
    """Have a player's words drawn; refuse blocked words privately, and give the words back."""
    session_id, _, number = turn.partition(":")
    found, made = await require_turn(interaction, session_id, int(number))
    words = " ".join(values.texts.get("words", "").split())[:MAX_WORDS]
    if not words:
        raise UserError(tr("Type at least one word."))
    done = written(made, words)
    try:
        await _authorize(interaction, found, done)
    except UserError as error:
        content, files = format_prompt_block(user_message(error), words)
        await respond_ephemeral(interaction, content, files=files)
        return
    text = tr("Your words are being drawn. You see the picture at the end, like everybody else.")
    if interaction.message is not None and interaction.message.flags.ephemeral:
        await interaction.response.edit_message(content=text, attachments=[], view=None)
    else:
        await interaction.response.send_message(text, ephemeral=True)
    with audience(private=False):
        is_written = await found.handler.write(found.session, done)
    if not is_written:
        raise UserError(tr("This turn is over."))


async def _authorize(interaction: Interaction, found: FoundTelephone, made: Round) -> None:
    """Raise UserError if the words may not be drawn, or the player is at a limit of the server."""
    policy = interaction.client.services.policy
    participant = await require_member(interaction, found.session)
    player = Player(
        session_id=found.session.id,
        person_id=interaction.user.id,
        name=interaction.user.name,
        roles=tuple(participant.context.role_ids),
    )
    job = found.handler.job_for(found.session, made, player)
    context = person_context(found.session, player.person_id, player.roles)
    await policy.authorize(context, JobRequest(action=job.action, params=job.params))
