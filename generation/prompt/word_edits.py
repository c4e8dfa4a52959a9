"""Other words for a picture that is drawn: the prompt whose words change into them on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from generation.edited_text import EditedText, TextEdit
from generation.errors import UserError
from generation.params import Params, PromptPart
from generation.planning.holding import held_picture, holds, last_words
from generation.prompt.edits import MAX_EDITS, count_edits
from generation.prompt.syntax import mask
from generation.prompt.weights import format_parts, parse_parts
from generation.text import Text

_UNREADABLE = Text(
    "These words cannot change: a bracket is open, they have no letters, or they change too often already. "
    "Use `--keep 0` without `--hold`."
)
_OTHER_PARTS = Text(
    "With `--keep` or `--hold`, the prompt needs the parts and weights that the picture's prompt has. "
    "Use `--keep 0` without `--hold`."
)


def edit_words(drawn: Params, edited: Params, keep: int) -> Params:
    """Return `edited` with a prompt that draws the words of `drawn` for `keep` percent of the steps, then its own.

    Other words for a picture that holds another one hold that one too; with the same words, `keep` says anew when they
    change. Raises UserError if the words cannot change from the ones to the others.
    """
    is_held = edited.hold or edited.retouch
    if holds(drawn):
        own_words = [drawn.parts] if keep and is_held else [drawn.parts, last_words(drawn).parts]
        if edited.parts in own_words:
            return replace(edited, parts=drawn.parts)
        drawn = held_picture(drawn)
    if edited.parts == drawn.parts:
        return _unheld(edited)
    if keep == 0 and not is_held:
        return edited
    if [part.weight for part in edited.parts] != [part.weight for part in drawn.parts]:
        raise UserError(_OTHER_PARTS)
    if keep == 100:
        return _unheld(replace(edited, parts=drawn.parts))
    parts = tuple(_changed(*pair, keep / 100) for pair in zip(drawn.parts, edited.parts, strict=True))
    if count_edits(mask(format_parts(parts))) > MAX_EDITS:
        raise UserError(_UNREADABLE)
    return replace(edited, parts=parts)


def _unheld(params: Params) -> Params:
    """Return the params, which hold nothing: their words are those of the picture, which may change themselves."""
    return replace(params, hold=False, retouch=False)


def _changed(drawn: PromptPart, edited: PromptPart, at: float) -> PromptPart:
    """Return the part that changes, written as briefly as can be read again."""
    if drawn == edited:
        return drawn
    is_plain = not (drawn.edited or edited.edited)
    briefly = [_between(drawn.text, edited.text, at)] if is_plain else []
    for pieces in (*briefly, (_whole(drawn, edited, at),)):
        part = PromptPart(drawn.text, drawn.weight, pieces)
        if parse_parts(mask(format_parts((part,)))) == (part,):
            return part
    raise UserError(_UNREADABLE)


def _whole(drawn: PromptPart, edited: PromptPart, at: float) -> TextEdit:
    before, after = (part.edited or ((part.text,) if part.text else ()) for part in (drawn, edited))
    return TextEdit(before, after, at)


def _between(drawn: str, edited: str, at: float) -> EditedText:
    """Return the words that both texts begin and end with, and between them those that differ."""
    old, new = drawn.split(" "), edited.split(" ")
    first = _shared(old, new)
    last = _shared(old[first:][::-1], new[first:][::-1])
    head, tail = " ".join(old[:first]), " ".join(old[len(old) - last :])
    middles = [" ".join(words[first : len(words) - last]) for words in (old, new)]
    before, after = ((middle,) if middle else () for middle in middles)
    pieces = (f"{head} " if head else "", TextEdit(before, after, at), f" {tail}" if tail else "")
    return tuple(piece for piece in pieces if piece)


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many words both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
