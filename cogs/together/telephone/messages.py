"""The texts and buttons of a picture telephone."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.ui.dynamic_items import persistent_view
from bot.ui.i18n import tr, trn
from bot.ui.text import escape_markdown, truncate
from cogs.together.bell import bell_line
from cogs.together.telephone.phases import ATTEMPT, MIN_PLAYERS, seconds_of
from cogs.together.telephone.steps import Step
from db.together.sessions import Round, Session
from db.together.telephones import Player

PREFIX = "telephone"
SESSION = r"(?P<session>[0-9a-f]{12})"
MAX_WORDS = 300  # characters
MAX_SHOWN_WORDS = 150  # characters in the last message; escaping may double them
MAX_NAMED = 8
Button = discord.ui.Button[discord.ui.View]
BLUE = discord.ButtonStyle.primary


def whom(person_id: int | None) -> str:
    """Return the mention of a person, or a word for somebody without a name."""
    return f"<@{person_id}>" if person_id else tr("somebody")


def lobby_text(session: Session, players: Sequence[Player]) -> str:
    """Return the text of a game that waits for players."""
    most = int(session.settings["players"])
    by_name = sorted(players, key=lambda player: player.name)  # the order of the turns is a surprise
    joined = ", ".join(whom(each.person_id) for each in by_name) or tr("nobody")
    lines = [
        tr("📞 **Picture telephone** · {whom} looks for players", whom=whom(session.host_id)),
        tr("Each player sees only the last picture and writes what it is. That is drawn for the next one."),
        tr("{number} of {most}: {joined}", number=len(players), most=most, joined=joined),
    ]
    if session.due_at is not None:
        lines.append(tr("-# It begins when all places are taken, or {when}.", when=f"<t:{int(session.due_at)}:R>"))
    return "\n".join(lines)


def lobby_view(session: Session, players: Sequence[Player]) -> discord.ui.View:
    """Return the buttons of a game that waits for players."""
    can_begin = len(players) >= MIN_PLAYERS
    return persistent_view(
        Button(label=tr("Join"), emoji="🙋", style=BLUE, custom_id=f"{PREFIX}:join:{session.id}"),
        Button(label=tr("Leave"), emoji="🚪", custom_id=f"{PREFIX}:leave:{session.id}"),
        Button(label=tr("Begin"), emoji="▶️", custom_id=f"{PREFIX}:begin:{session.id}", disabled=not can_begin),
        help_button(session.id),
    )


def turn_text(session: Session, made: Round, players: Sequence[Player]) -> str:
    """Return the text of a turn, which says who writes, and nothing about pictures or words."""
    turn = tr("turn {number} of {most}", number=made.number, most=max(len(players), made.number))
    writer, until = whom(made.worded_by), f"<t:{int(session.due_at or 0)}:R>"
    if made.facts.get(ATTEMPT):
        text = tr("{whom}, that could not be drawn. Please write something else: {when}", whom=writer, when=until)
    elif made.number == 1:
        text = tr("{whom} writes what is drawn first. Time is up {when}.", whom=writer, when=until)
    else:
        text = tr("{whom} looks at the last picture and writes what it is. Time is up {when}.", whom=writer, when=until)
    return f"📞 {turn} · {text}"


def turn_view(made: Round) -> discord.ui.View:
    """Return the buttons of a turn."""
    custom_id = f"{PREFIX}:turn:{made.session_id}:{made.number}:{made.facts.get(ATTEMPT, 0)}"
    return persistent_view(
        Button(label=tr("My turn"), emoji="✏️", style=BLUE, custom_id=custom_id), help_button(made.session_id)
    )


def looking_view(made: Round) -> discord.ui.View:
    """Return the buttons below the last picture, which only the player sees."""
    end = f"{made.session_id}:{made.number}"
    return persistent_view(
        Button(label=tr("Write what it is"), emoji="✏️", style=BLUE, custom_id=f"{PREFIX}:write:{end}"),
        Button(label=tr("Pass"), emoji="⏭️", custom_id=f"{PREFIX}:pass:{end}"),
    )


def help_button(session_id: str) -> Button:
    """Return the button for the rules."""
    return Button(label=tr("Help"), emoji="❔", custom_id=f"{PREFIX}:help:{session_id}")


def next_button(session_id: str, number: int, row: int) -> Button:
    """Return the button that shows the next picture."""
    return Button(label=tr("Next"), emoji="▶️", style=BLUE, row=row, custom_id=f"{PREFIX}:next:{session_id}:{number}")


def again_button(session_id: str) -> Button:
    """Return the button that opens another game; by its custom_id a restart finds the last message of this one."""
    return Button(label=tr("Play again"), emoji="📞", custom_id=f"{PREFIX}:again:{session_id}")


def rules_text(session: Session) -> str:
    """Return the rules."""
    minutes = round(seconds_of(session) / 60)
    hours = round(seconds_of(session) / 3600)
    lasts = trn("- A turn lasts {n} hour.", "- A turn lasts {n} hours.", hours)
    if hours < 1:
        lasts = trn("- A turn lasts {n} minute.", "- A turn lasts {n} minutes.", minutes)
    return "\n".join(
        [
            tr("**Picture telephone: one writes, the next one sees only the picture.**"),
            tr("- The order is drawn by lot. The first player writes what is drawn."),
            tr("- Each of the others sees the picture before theirs, and nothing else, and writes what it is."),
            lasts
            + " "
            + tr("For whoever is away the model writes, if it can describe pictures; else the turn is skipped."),
            tr("- At the end ▶️ shows the pictures one by one, with the words and who wrote them."),
        ]
    )


def step_text(step: Step, place: int, steps: int, pinged: Sequence[int] = ()) -> str:
    """Return the text of a picture that is shown in the end, with its words and who wrote them."""
    words = escape_markdown(step.words)
    number = tr("picture {number} of {most}", number=place, most=steps)
    lines = [f"📞 {number} · **{words}** — {author(step)}", *bell_line(pinged)]
    return "\n".join(lines)


def author(step: Step) -> str:
    """Return who wrote the words of a step; 🤖 marks those of the model."""
    return f"🤖 {tr('for {whom}', whom=whom(step.person_id))}" if step.is_robot else whom(step.person_id)


def finale_text(steps: Sequence[Step]) -> str:
    """Return the text of the last message: from what to what, and everybody who had a part."""
    first, last = (escape_markdown(truncate(each.words, MAX_SHOWN_WORDS)) for each in (steps[0], steps[-1]))
    chain = " → ".join(author(each) for each in steps)
    return "\n".join([tr("📞 From **{first}** to **{last}**", first=first, last=last), f"-# {chain}"])


def finale_view(session_id: str) -> discord.ui.View:
    """Return the buttons of the last message."""
    return persistent_view(again_button(session_id))
