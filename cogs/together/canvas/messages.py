"""The texts and buttons of a canvas."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import discord

from bot.ui.dynamic_items import persistent_view
from bot.ui.i18n import tr, trn
from bot.ui.text import escape_markdown, truncate
from cogs.together.canvas.geometry import Place
from db.together.canvases import Canvas, Cell, Claim, Piece
from db.together.sessions import Session
from generation.params import Tile

PREFIX = "canvas"
SESSION = r"(?P<session>[0-9a-f]{12})"
PAGE_SIZE = 25  # places in a select
PIECES_PAGE = 10
MAX_WORDS = 200  # characters
MAX_THEME = 300  # characters shown; escaping may double them
MAX_SHOWN_WORDS = 80
MAX_LISTED_WORDS = 65  # of each piece on a page; escaping may double them
MAX_NAMED = 15  # people in the credits
MAX_DRAWN = 4  # times that candidates may be asked for, so three times again
UNDO_S = 600.0
PAINTERS_ASKED = 10  # the last ones, of whom two thirds must agree to finish
Button = discord.ui.Button[discord.ui.View]
Select = discord.ui.Select[discord.ui.View]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Everything that the message of a canvas shows. `hidden` are the people who are blocked by now."""

    session: Session
    canvas: Canvas
    cells: Sequence[Cell]
    pieces: Sequence[Piece]
    claims: Sequence[Claim]
    agreed: int = 0
    asked: int = 0
    hidden: Collection[int] = ()

    @property
    def total(self) -> int:
        """Return the number of cells."""
        return self.canvas.columns * self.canvas.rows

    @property
    def is_full(self) -> bool:
        """Return whether every cell is painted."""
        return len(self.cells) >= self.total

    @property
    def needed(self) -> int:
        """Return how many of the last painters must agree to finish."""
        return max(1, math.ceil(2 * self.asked / 3))

    @property
    def painters(self) -> list[int]:
        """Return who has placed pieces, those with the most pieces first, without those who have no name any more."""
        counts = self.counts()
        return sorted((person for person in counts if person), key=lambda person: -counts[person])

    def counts(self) -> dict[int, int]:
        """Return the number of pieces of each painter; 0 is for all without a name."""
        counts: dict[int, int] = {}
        for piece in self.pieces:
            person = self.author(piece)
            counts[person] = counts.get(person, 0) + 1
        return counts

    def author(self, piece: Piece) -> int:
        """Return who placed a piece, 0 for somebody without a name."""
        return 0 if piece.person_id in self.hidden else piece.person_id

    def names(self) -> dict[int, str]:
        """Return the names of the painters as they were when they painted, those with the most pieces first."""
        newest = {piece.person_id: piece.name for piece in self.pieces}
        named = {person: newest[person] for person in self.painters}
        return named | ({0: tr("somebody")} if 0 in self.counts() else {})


def theme_of(session: Session) -> str:
    """Return the theme of a canvas, ready for a message."""
    theme = truncate(" ".join(str(session.settings.get("theme", "")).split()), MAX_THEME)
    return escape_markdown(theme) or "…"  # that of a host who had their data erased is gone


def whom(person_id: int) -> str:
    """Return the mention of a person, or a word for somebody without a name."""
    return f"<@{person_id}>" if person_id else tr("somebody")


def quoted(words: str, limit: int = MAX_SHOWN_WORDS) -> str:
    """Return somebody's words in quotation marks."""
    return f'"{escape_markdown(truncate(" ".join(words.split()), limit))}"'


def standing_text(standing: Standing) -> str:
    """Return the text of the message of a canvas."""
    canvas, session = standing.canvas, standing.session
    title = tr("🖼️ **{theme}** · {columns}×{rows}", theme=theme_of(session), columns=canvas.columns, rows=canvas.rows)
    lines = [title, " · ".join(_progress(standing))]
    if session.ended_at is not None:
        return "\n".join([*lines, tr("-# This canvas is finished.")])
    if standing.agreed:
        lines.append(tr("🏁 {agreed} of {needed} want to finish", agreed=standing.agreed, needed=standing.needed))
    hint = tr("-# Everybody paints: choose a place, say what is there, and place one of four pictures.")
    return "\n".join([*lines, hint])


def _progress(standing: Standing) -> list[str]:
    people = len(standing.painters) + (0 in standing.counts())
    parts = [
        tr("{painted} of {total}", painted=len(standing.cells), total=standing.total),
        trn("{n} person", "{n} people", people),
    ]
    if standing.pieces:
        last = standing.pieces[-1]
        parts.append(tr("last: {whom}, {words}", whom=whom(standing.author(last)), words=quoted(last.words)))
    if standing.claims and standing.session.ended_at is None:
        parts.append(trn("{n} is painting", "{n} are painting", len(standing.claims)))
    return parts


def standing_view(session: Session) -> discord.ui.View:
    """Return the buttons of a canvas; those of a finished one only show it."""
    look = _button(session.id, "look", tr("Look around"), "🔭", ":0:0:0")
    who = _button(session.id, "who", tr("Who did what"), "📜", ":0")
    if session.ended_at is not None:
        return persistent_view(look, who)
    paint = Button(
        label=tr("Paint here"),
        emoji="🖌️",
        style=discord.ButtonStyle.primary,
        custom_id=paint_id(session.id),
    )
    return persistent_view(paint, look, who, _button(session.id, "finish", tr("Propose to finish"), "🏁"))


def paint_id(session_id: str, page: int = 0) -> str:
    """Return the custom_id of the button that shows the free places; by it a restart finds the message again."""
    return f"{PREFIX}:paint:{session_id}:{page}"


def _button(session_id: str, purpose: str, label: str, emoji: str, rest: str = "") -> Button:
    return Button(label=label, emoji=emoji, custom_id=f"{PREFIX}:{purpose}:{session_id}{rest}")


def places_view(session_id: str, places: Sequence[Place], page: int) -> discord.ui.View:
    """Return a select of the free places of a page, and the ways to the other pages."""
    start = page * PAGE_SIZE
    select = Select(placeholder=tr("Where?"), custom_id=f"{PREFIX}:place:{session_id}", row=0)
    for number, (x, y) in enumerate(places[start : start + PAGE_SIZE], start=start + 1):
        where = tr("column {column}, row {row}", column=x + 1, row=y + 1)
        select.add_option(label=f"{number} · {where}", value=f"{x}:{y}")
    items: list[discord.ui.Item[Any]] = [select]
    if page:
        items.append(Button(emoji="⬅️", custom_id=paint_id(session_id, page - 1), row=1))
    if len(places) > start + PAGE_SIZE:
        items.append(Button(emoji="➡️", custom_id=paint_id(session_id, page + 1), row=1))
    return persistent_view(*items)


def numbered(places: Sequence[Place], page: int) -> dict[Place, int]:
    """Return the numbers of the places of a page."""
    start = page * PAGE_SIZE
    return {place: number for number, place in enumerate(places[start : start + PAGE_SIZE], start=start + 1)}


def candidates_text(claim: Claim) -> str:
    """Return the text above the candidates of a piece."""
    until = f"<t:{int(claim.until)}:R>"
    return tr("🖌️ {words}: which one? The place is yours until {when}.", words=quoted(claim.words), when=until)


def candidates_view(claim: Claim, count: int) -> discord.ui.View:
    """Return the buttons below the candidates of a piece."""
    items: list[discord.ui.Item[Any]] = [
        Button(label=str(index + 1), custom_id=f"{PREFIX}:take:{Tile(claim.job_id, index)}", row=0)
        for index in range(count)
    ]
    if claim.drawn < MAX_DRAWN:
        items += [
            Button(label=tr("Again"), emoji="🔄", custom_id=f"{PREFIX}:again:{claim.job_id}", row=1),
            Button(label=tr("Other words"), emoji="✏️", custom_id=f"{PREFIX}:reword:{claim.job_id}", row=1),
        ]
    return persistent_view(*items, let_go_button(claim.job_id))


def let_go_button(job_id: str) -> Button:
    """Return the button that gives a place back."""
    return Button(label=tr("Let it go"), style=discord.ButtonStyle.danger, custom_id=f"{PREFIX}:let_go:{job_id}", row=1)


def undo_view(session_id: str, number: int) -> discord.ui.View:
    """Return the button that takes a piece back."""
    return persistent_view(_button(session_id, "undo", tr("Undo"), "↩️", f":{number}"))


def pieces_text(standing: Standing, page: int) -> str:
    """Return a page of who did what, the newest first."""
    pieces = list(reversed(standing.pieces))
    shown = pieces[page * PIECES_PAGE : (page + 1) * PIECES_PAGE]
    lines = [
        f"{quoted(piece.words, MAX_LISTED_WORDS)} · {whom(standing.author(piece))} · <t:{int(piece.placed_at)}:R>"
        for piece in shown
    ]
    return "\n".join(["📜 " + tr("**Who did what**"), *lines]) if lines else tr("Nobody has painted anything yet.")


def credits_line(counts: Mapping[int, int]) -> str:
    """Return who painted how many pieces, those with the most first; nobody is pinged."""
    ranked = sorted(counts, key=lambda person: (-counts[person], person))
    shown = ", ".join(f"{whom(person)} ({counts[person]})" for person in ranked[:MAX_NAMED])
    more = len(ranked) - MAX_NAMED
    named = tr("{named} and {number} more", named=shown, number=more) if more > 0 else shown
    return tr("-# Painted by {people}", people=named)


def finale_text(standing: Standing) -> str:
    """Return the text of the finished picture."""
    pieces = trn("{n} piece", "{n} pieces", len(standing.pieces))
    people = trn("{n} person", "{n} people", len(standing.counts()))
    line = tr("the canvas is finished: {pieces} by {people}", pieces=pieces, people=people)
    return "\n".join([f"🖼️ **{theme_of(standing.session)}** · {line}", credits_line(standing.counts())])
