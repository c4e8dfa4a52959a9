"""The texts and buttons of a jam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import discord

from bot.ui.dynamic_items import persistent_view
from bot.ui.i18n import tr, trn
from bot.ui.text import escape_markdown, truncate
from cogs.together.jam.rules import AGAIN, AS_THEY_ARE, MOVE, MOVES, TILE, WORDS, Tallies, move_label
from cogs.together.offers import add_offers
from db.lineage import Credit
from db.together.ballots import Suggestion
from db.together.sessions import Round, Session
from generation.job import Action, Job

PREFIX = "jam"
BAR = "▇"
MAX_BAR = 10  # characters
MAX_PROMPT = 400  # characters; escaping may double them
MAX_WORDS = 300  # characters of a suggestion
MAX_THREAD_NAME = 90  # characters
MAX_NAMED = 15  # people in the credits


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Everything that a round's message shows."""

    session: Session
    round: Round
    job: Job
    moves: Sequence[Action]
    due_at: float
    credits: Sequence[Credit] = ()
    tallies: Tallies | None = None
    suggestions: Sequence[Suggestion] = ()
    voters: int = 0

    @property
    def is_last(self) -> bool:
        """Return whether no other round follows."""
        return self.session.round >= int(self.session.settings["rounds"])


def thread_name(prompt: str) -> str:
    """Return the name of a jam's thread."""
    return truncate(f"🎷 {' '.join(prompt.split())}", MAX_THREAD_NAME)


def announcement(host_id: int, prompt: str, rounds: int, minutes: int) -> str:
    """Return the message that starts a jam."""
    return tr(
        "🎷 {whom} starts a jam: **{prompt}** · {rounds} of {minutes}",
        whom=f"<@{host_id}>",
        prompt=escape_markdown(truncate(prompt, MAX_PROMPT)),
        rounds=trn("{n} round", "{n} rounds", rounds),
        minutes=trn("{n} minute", "{n} minutes", minutes),
    )


def cost_note(rounds: int) -> str:
    """Return what a jam may cost its host."""
    return trn(
        "The jam draws up to {n} grid in your name, which counts towards your limits. End it with ⏹️ or `/jam end`.",
        "The jam draws up to {n} grids in your name, which count towards your limits. End it with ⏹️ or `/jam end`.",
        rounds,
    )


def round_text(standing: Standing) -> str:
    """Return the text of a round's message: what was drawn, when it ends, and how the votes stand."""
    settings, tallies = standing.session.settings, standing.tallies or {}
    number = tr("round {number} of {rounds}", number=standing.session.round, rounds=settings["rounds"])
    ends = tr("ends {when}", when=f"<t:{int(standing.due_at)}:R>")
    people = trn("{n} person", "{n} people", standing.voters)
    lines = [
        " · ".join([f"🎷 **{_prompt(standing.job)}**", number, *_made_by(standing.credits)]),
        f"{ends} · {people}",
        _tile_bars(tallies.get(TILE, {}), standing.job.params.count),
        _next_line(standing, tallies),
    ]
    return "\n".join(filter(None, lines))


def _prompt(job: Job) -> str:
    return escape_markdown(truncate(job.params.parts[0].text, MAX_PROMPT))


def _made_by(given: Sequence[Credit]) -> list[str]:
    worders = [_whom(each.person_id) for each in given if each.part == "worded"]
    choosers = sum(each.part == "chose" for each in given)
    return [
        *([tr("words by {whom}", whom=", ".join(worders))] if worders else []),
        *([trn("chosen by {n}", "chosen by {n}", choosers)] if choosers else []),
    ]


def _whom(person_id: int) -> str:
    return f"<@{person_id}>" if person_id else tr("somebody")


def _tile_bars(votes: dict[str, int] | object, count: int) -> str:
    tally = dict(votes) if isinstance(votes, dict) else {}
    most = max(tally.values(), default=0)
    labels = [(str(index), str(index + 1)) for index in range(count)] + [(AGAIN, "🎲")]
    shown = [(label, tally[choice]) for choice, label in labels if tally.get(choice)]
    return " · ".join(f"{label} {BAR * max(1, round(MAX_BAR * votes / most))} {votes}" for label, votes in shown)


def _next_line(standing: Standing, tallies: Tallies) -> str:
    moves = [f"{move_label(Action(move))} {votes}" for move, votes in _ranked(tallies.get(MOVE, {})) if move in MOVES]
    names = {str(each.person_id): each.words for each in standing.suggestions}
    words = [
        f'"{escape_markdown(truncate(names[choice], 40))}" {votes}'
        for choice, votes in _ranked(tallies.get(WORDS, {}))
        if choice in names
    ]
    parts = [*moves[:3], *([f"{tr('Words')} {', '.join(words[:3])}"] if words else [])]
    return tr("Next: {parts}", parts=" · ".join(parts)) if parts else ""


def _ranked(votes: object) -> list[tuple[str, int]]:
    tally = dict(votes) if isinstance(votes, dict) else {}
    return sorted(tally.items(), key=lambda each: (-each[1], each[0]))


def round_view(standing: Standing) -> discord.ui.View:
    """Return the buttons and selects below a round's grid."""
    job, items = standing.job, list[discord.ui.Item[discord.ui.View]]()
    for index in range(job.params.count):
        items.append(_button(f"{PREFIX}:{TILE}:{job.id}-{index}", str(index + 1), 0))
    if not standing.is_last:
        items.append(_button(f"{PREFIX}:{AGAIN}:{job.id}", tr("Again"), 0, "🎲"))
        items += [move_select(standing), words_select(standing, 0)]
        items.append(_button(f"{PREFIX}:suggest:{job.id}", tr("Suggest words"), 3, "✏️"))
    items.append(_button(f"{PREFIX}:help:{job.id}", tr("Help"), 3, "❔"))
    items.append(_end_button(job.id, 3))
    return persistent_view(*items)


def move_select(standing: Standing) -> discord.ui.Select[discord.ui.View]:
    """Return the select of what happens to the winning picture."""
    select = discord.ui.Select[discord.ui.View](
        placeholder=tr("What happens to it?"), custom_id=f"{PREFIX}:{MOVE}:{standing.job.id}", row=1
    )
    for action in standing.moves:
        select.add_option(label=move_label(action), value=action)
    if not standing.moves:
        select.add_option(label=tr("Draw it again"), value=Action.REROLL)
    return select


def words_select(standing: Standing, page: int) -> discord.ui.Select[discord.ui.View]:
    """Return one page of the words on offer; the select on the message of the round has page 0."""
    select = discord.ui.Select[discord.ui.View](
        placeholder=tr("Whose words?"), custom_id=f"{PREFIX}:{WORDS}:{standing.job.id}:{page}", row=2
    )
    select.add_option(label=tr("The words as they are"), value=AS_THEY_ARE)
    add_offers(select, standing.suggestions, page)
    return select


def _button(custom_id: str, label: str, row: int, emoji: str | None = None) -> discord.ui.Button[discord.ui.View]:
    return discord.ui.Button(label=label, emoji=emoji, custom_id=custom_id, row=row)


def _end_button(job_id: str, row: int) -> discord.ui.Button[discord.ui.View]:
    style = discord.ButtonStyle.danger
    return discord.ui.Button(label=tr("End"), emoji="⏹️", style=style, custom_id=f"{PREFIX}:end:{job_id}", row=row)


def asleep_view(job_id: str) -> discord.ui.View:
    """Return the buttons of a jam that nobody votes in."""
    return persistent_view(_button(f"{PREFIX}:wake:{job_id}", tr("Wake"), 0, "💤"), _end_button(job_id, 0))


def rules_text(minutes: int) -> str:
    """Return the rules of a jam."""
    return "\n".join(
        [
            tr("**A jam: the room draws one picture.**"),
            tr("- Press `1` to `4` for the picture that goes on; pressing another one moves your vote."),
            tr("- The lists decide what happens to it, and whose words it gets. ✏️ offers your own words."),
            trn(
                "- A round lasts {n} minute, or until everybody who voted in the last one has voted.",
                "- A round lasts {n} minutes, or until everybody who voted in the last one has voted.",
                minutes,
            ),
        ]
    )


def credits_roll(given: Sequence[Credit]) -> str:
    """Return who worded and who chose in all rounds, the most frequent first; nobody is pinged."""
    parts = (("worded", tr("Words")), ("chose", tr("Chosen by")))
    lines = [f"-# {label}: {_names(given, part)}" for part, label in parts if any(e.part == part for e in given)]
    return "\n".join(lines)


def _names(given: Sequence[Credit], part: str) -> str:
    counts: dict[int, int] = {}
    for each in given:
        if each.part == part:
            counts[each.person_id] = counts.get(each.person_id, 0) + 1
    ranked = sorted(counts, key=lambda person: -counts[person])
    shown = ", ".join(_whom(person) for person in ranked[:MAX_NAMED])
    more = len(ranked) - MAX_NAMED
    return tr("{named} and {number} more", named=shown, number=more) if more > 0 else shown


def finale_text(job: Job, given: Sequence[Credit]) -> str:
    """Return the text of the last picture, with everybody who had a part in it."""
    return "\n".join([f"🎷 **{_prompt(job)}** · {tr('the jam is finished')}", credits_roll(given)])
