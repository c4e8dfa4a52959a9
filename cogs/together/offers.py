"""A select of the words that people offer to a session, in pages, for sessions whose room votes about words."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.ui.i18n import tr
from bot.ui.text import truncate
from db.together.ballots import Suggestion

PAGE_SIZE = 23  # offers in a select, beside "as they are" and "more"
MAX_LABEL = 100  # characters of an option
PAGE_PREFIX = "page:"


def offer_label(offer: Suggestion) -> str:
    """Return words and who offers them, short enough for an option."""
    end = f'" — {offer.name}'
    return f'"{truncate(offer.words, MAX_LABEL - len(end) - 1)}{end}'


def add_offers(select: discord.ui.Select[discord.ui.View], offers: Sequence[Suggestion], page: int) -> None:
    """Add one page of the offers to a select, the newest first, and the way to the next page."""
    newest_first = list(reversed(offers))
    for each in newest_first[page * PAGE_SIZE : (page + 1) * PAGE_SIZE]:
        select.add_option(label=offer_label(each), value=str(each.person_id))
    if len(newest_first) > (page + 1) * PAGE_SIZE:
        select.add_option(label=tr("More…"), value=f"{PAGE_PREFIX}{page + 1}")
