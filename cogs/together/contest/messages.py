"""The texts and buttons of a contest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import discord

from bot.ui.dynamic_items import persistent_view
from bot.ui.i18n import tr, trn
from bot.ui.text import escape_markdown, truncate
from cogs.together.contest.phases import (
    ASLEEP,
    ENTRY_PHASES,
    MAX_EACH,
    NAMING_PHASES,
    PAIRS_EACH,
    SECOND,
    VOTE_PHASES,
    number_of,
)
from cogs.together.offers import add_offers
from db.together.ballots import Suggestion
from db.together.sessions import Round, Session
from generation.job import Job

PREFIX = "contest"
SESSION = r"(?P<session>[0-9a-f]{12})"
MAX_THEMES_SHOWN = 5
Button = discord.ui.Button[discord.ui.View]
Select = discord.ui.Select[discord.ui.View]


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """Everything that the message of a phase shows."""

    session: Session
    round: Round
    entries: int = 0
    votes: dict[str, int] | None = None
    offers: Sequence[Suggestion] = ()

    @property
    def by_room(self) -> bool:
        """Return whether the room names the theme."""
        return self.session.phase in NAMING_PHASES and self.session.settings.get("theme_by") == "room"

    @property
    def theme(self) -> str:
        """Return the theme, or nothing before it is named."""
        return str(self.round.facts.get("theme", ""))


def prompt_words(job: Job, limit: int) -> str:
    """Return the words of a picture's prompt without its parameters, or dots for a picture without words."""
    words = " ".join(" ".join(part.text for part in job.params.parts).split())
    return truncate(words, limit) or "…"


def title(show: Show) -> str:
    """Return the number and the theme of a contest."""
    number = number_of(show.session)
    if not show.theme:
        return tr("🏆 **Contest {number}**", number=number)
    return tr("🏆 **Contest {number}: {theme}**", number=number, theme=escape_markdown(show.theme))


def phase_text(show: Show) -> str:
    """Return the text of the present phase."""
    session, until = show.session, f"<t:{int(show.session.due_at or 0)}:R>"
    if session.phase == ASLEEP:
        return "\n".join([title(show), tr("💤 Nobody entered, so the contest sleeps. Who wakes it begins a new one.")])
    if show.by_room:
        text = tr("What is the theme? Suggest one and vote. The vote ends {when}.", when=until)
        return "\n".join([title(show), text, *_theme_votes(show)])
    if session.phase in NAMING_PHASES:
        return "\n".join([title(show), _naming_line(show, until)])
    if session.phase in ENTRY_PHASES:
        return "\n".join([title(show), *_themed_by(show), *_entry_lines(until)])
    return "\n".join([title(show), *_vote_lines(show, until)])


def _naming_line(show: Show, until: str) -> str:
    whom = f"<@{show.round.worded_by}>" if show.round.worded_by else tr("somebody")
    if show.session.phase == SECOND:
        return tr("{whom} came second in the last one and names the theme. Time is up {when}.", whom=whom, when=until)
    return tr("{whom} won the last one and names the theme. Time is up {when}.", whom=whom, when=until)


def _themed_by(show: Show) -> list[str]:
    giver = show.round.worded_by
    return [tr("-# Theme by {whom}", whom=f"<@{giver}>")] if giver else []


def _entry_lines(until: str) -> list[str]:
    return [
        trn(
            "Enter up to {n} of your pictures. Entries end {when}.",
            "Enter up to {n} of your pictures. Entries end {when}.",
            MAX_EACH,
            when=until,
        ),
        tr("-# Nobody sees whose they are before the result."),
    ]


def _vote_lines(show: Show, until: str) -> list[str]:
    pictures = trn("{n} picture", "{n} pictures", show.entries)
    return [
        tr("{pictures}: which of two is better? The vote ends {when}.", pictures=pictures, when=until),
        tr("-# Two pictures at a time, nobody's name, and no count before the result."),
    ]


def _theme_votes(show: Show) -> list[str]:
    words = {str(each.person_id): each.words for each in show.offers}
    ranked = sorted((show.votes or {}).items(), key=lambda each: (-each[1], each[0]))
    return [
        f"- {escape_markdown(words[choice])} · {votes}"
        for choice, votes in ranked[:MAX_THEMES_SHOWN]
        if choice in words
    ]


def phase_view(show: Show) -> discord.ui.View:
    """Return the buttons of the present phase."""
    session, items = show.session, list[discord.ui.Item[discord.ui.View]]()
    if show.by_room:
        if show.offers:
            items.append(theme_select(session.id, show.offers, 0))
        items.append(_button(session, "theme", tr("Suggest a theme"), "✏️", row=1))
    elif session.phase in NAMING_PHASES:
        items.append(_button(session, "theme", tr("Name the theme"), "✏️", row=1))
    elif session.phase in ENTRY_PHASES:
        items.append(enter_button(session))
    elif session.phase in VOTE_PHASES:
        items.append(vote_button(session))
    elif session.phase == ASLEEP:
        items.append(_button(session, "wake", tr("Wake"), "💤", row=1))
    items.append(help_button(session, show.round.number))
    return persistent_view(*items)


def _button(session: Session, purpose: str, label: str, emoji: str, *, row: int | None = None) -> Button:
    return Button(label=label, emoji=emoji, custom_id=f"{PREFIX}:{purpose}:{session.id}", row=row)


def enter_button(session: Session) -> Button:
    """Return the button that opens one's entries."""
    return _button(session, "enter", tr("Enter"), "🖼️", row=1)


def vote_button(session: Session) -> Button:
    """Return the button that shows the first pair."""
    return _button(session, "vote", tr("Vote"), "🗳️", row=1)


def help_button(session: Session, number: int) -> Button:
    """Return the button for the rules; by its custom_id a restart finds the message of a phase again."""
    return Button(label=tr("Help"), emoji="❔", custom_id=f"{PREFIX}:help:{session.id}:{number}", row=1)


def theme_select(session_id: str, offers: Sequence[Suggestion], page: int) -> Select:
    """Return one page of the themes on offer; the select on the message of the phase has page 0."""
    select = Select(placeholder=tr("Which theme?"), custom_id=f"{PREFIX}:themes:{session_id}:{page}", row=0)
    add_offers(select, offers, page)
    return select


def pair_text(show: Show, number: int) -> str:
    """Return the question about a pair."""
    progress = tr("{number} of {most}", number=number, most=PAIRS_EACH)
    return f"{title(show)}\n{tr('Which one is better?')} · {progress}"


def pair_view(session: Session, left: int, right: int) -> discord.ui.View:
    """Return the answers to a pair of entries."""
    labels = (("left", "1", "⬅️"), ("right", "2", "➡️"), ("both", tr("Both"), None), ("skip", tr("Skip"), None))
    return persistent_view(
        *(
            Button(label=label, emoji=emoji, custom_id=f"{PREFIX}:pick:{session.id}:{left}:{right}:{answer}")
            for answer, label, emoji in labels
        )
    )


def rules_text(show: Show) -> str:
    """Return the rules of contests."""
    return "\n".join(
        [
            tr("**The contest: one theme, anonymous pictures, and the room decides.**"),
            trn(
                "- Everybody enters up to {n} of their own public pictures of this server, upscaled or made in a jam.",
                "- Everybody enters up to {n} of their own public pictures of this server, upscaled or made in a jam.",
                MAX_EACH,
            ),
            tr("- To vote is to compare two pictures at a time, never one's own. All pictures are shown as often."),
            tr("- The result counts who beats whom. Pictures that cannot be told apart share a place."),
        ]
    )
