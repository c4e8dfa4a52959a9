"""The line below a result that says through whose hands its family has gone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from bot.ui.i18n import tr, trn
from db.lineage import Ancestor
from generation.job import Action, Job

FIRST_SHOWN = 3  # generations: a result made from another already says so
MAX_NAMES = 4


def family_line(line: Sequence[Ancestor], job: Job) -> str:
    """Return the line for a result and its ancestors, or nothing before the third generation.

    A picture that was only taken out of a grid is no generation. Nobody is named for a private picture, or for one of
    another server, unless it is the requester's own.
    """
    drawn = [each for each in line if each.action != Action.PICK]
    if len(drawn) < FIRST_SHOWN:
        return ""
    names = [name for name, _ in groupby(_name(each) for each in reversed(drawn) if _may_be_named(each, job))]
    if len(names) > MAX_NAMES:
        names = [names[0], "…", *names[-(MAX_NAMES - 2) :]]
    generations = trn("{n} generation", "{n} generations", len(drawn))
    return f"\n-# 🌳 {generations} · {' → '.join(names)}"


def _may_be_named(ancestor: Ancestor, job: Job) -> bool:
    if ancestor.person_id in (None, job.requester.id):
        return True
    return not ancestor.private and ancestor.guild_id == job.destination.guild_id


def _name(ancestor: Ancestor) -> str:
    return tr("somebody") if ancestor.person_id is None else f"<@{ancestor.person_id}>"
