"""Texts that change while a picture is drawn: `a [red:blue:.4] boat` is red for two fifths of the steps, then blue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class TextEdit:
    """A place of a text that reads `before`, and `after` from `at` on.

    `at` is a share of the steps if it is below 1, otherwise a number of steps.
    """

    before: EditedText
    after: EditedText
    at: float


EditedText = tuple[str | TextEdit, ...]


def text_at(pieces: EditedText, is_due: Callable[[float], bool]) -> str:
    """Return the text with those edits made whose `at` is due."""
    return "".join(
        piece if isinstance(piece, str) else text_at(piece.after if is_due(piece.at) else piece.before, is_due)
        for piece in pieces
    )


def words_at(pieces: EditedText, is_due: Callable[[float], bool]) -> str:
    """Return `text_at` without the blanks that words leave which are not there."""
    return " ".join(text_at(pieces, is_due).split())


def text_after(pieces: EditedText, done: int, steps: int) -> str:
    """Return the text of the step that follows `done` of `steps` steps."""
    return words_at(pieces, lambda at: done >= first_step(at, steps))


def first_step(at: float, steps: int) -> int:
    """Return how many steps are made before an edit; rounded, since 0.29 times 100 is a little less than 29."""
    return int(round(at * steps, 6) if at < 1 else at)


def edits_of(pieces: EditedText) -> list[TextEdit]:
    """Return all edits, the nested ones included."""
    edits = [piece for piece in pieces if isinstance(piece, TextEdit)]
    return [each for edit in edits for each in (edit, *edits_of(edit.before), *edits_of(edit.after))]


def unfold(pieces: EditedText, *, made: bool) -> EditedText:
    """Return what is read once all of the outermost edits are made, or before any is; those within are left."""
    return tuple(each for piece in pieces for each in _unfold(piece, made=made))


def _unfold(piece: str | TextEdit, *, made: bool) -> EditedText:
    if isinstance(piece, str):
        return (piece,)
    return piece.after if made else piece.before


def possible_texts(pieces: EditedText) -> tuple[str, ...]:
    """Return every text that the pieces can read, whatever the number of steps; neighbours differ by one moment."""
    moments = sorted({edit.at for edit in edits_of(pieces)})
    shares = [-1.0, *(at for at in moments if at < 1)]
    counts = [0.0, *(at for at in moments if at >= 1)]
    ways = [(share, count) for turn, share in enumerate(shares) for count in counts[:: -1 if turn % 2 else 1]]
    return tuple(dict.fromkeys(_text_at(pieces, *way) for way in ways))


def _text_at(pieces: EditedText, share: float, count: float) -> str:
    return words_at(pieces, lambda at: at <= (share if at < 1 else count))


def _as_it_is(text: str, _: bool) -> str:
    return text


def write_edits(
    pieces: EditedText,
    write: Callable[[str, bool], str] = _as_it_is,
    marks: Sequence[str] = ("[", ":", "]"),
    *,
    inside: bool = False,
) -> str:
    """Return the pieces in AUTOMATIC1111's notation, with `write(text, inside)` of their texts.

    `inside` says whether a text is in an edit, and `marks` are the characters that open, divide and close one.
    """
    opening, then, closing = marks

    def written(piece: str | TextEdit) -> str:
        if isinstance(piece, str):
            return write(piece, inside)
        sides = (write_edits(side, write, marks, inside=True) for side in (piece.before, piece.after))
        when = format(Decimal(str(piece.at)), "f") if piece.at < 1 else str(int(piece.at))
        return f"{opening}{then.join((*sides, when))}{closing}"

    return "".join(map(written, pieces))


def pieces_from_values(values: list[Any]) -> EditedText:
    """Restore pieces from the plain values that JSON keeps."""
    return tuple(
        value
        if isinstance(value, str)
        else TextEdit(pieces_from_values(value["before"]), pieces_from_values(value["after"]), value["at"])
        for value in values
    )
