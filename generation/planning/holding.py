"""Words that change while all else stays: which picture is held, and what is drawn from which step on."""

from __future__ import annotations

from bisect import bisect
from dataclasses import replace

from generation.edited_text import TextEdit, unfold, words_at
from generation.params import Params, PromptPart
from generation.planning.guidance import guidance_weights
from generation.planning.prompt_stages import prompt_stages


def holds(params: Params) -> bool:
    """Return whether a picture is held while words change; a walk has none to hold."""
    return (params.hold or params.retouch) and params.film is None and any(part.edited for part in params.parts)


def held_picture(params: Params) -> Params:
    """Return the params of the picture that is held: its words do not make the outermost changes."""
    return replace(params, parts=tuple(_unfolded(part, made=False) for part in params.parts), hold=False, retouch=False)


def last_words(params: Params) -> Params:
    """Return the params with the words that the outermost changes lead to."""
    return replace(params, parts=tuple(_unfolded(part, made=True) for part in params.parts), hold=False, retouch=False)


def _unfolded(part: PromptPart, *, made: bool) -> PromptPart:
    if not part.edited:
        return part
    pieces = unfold(part.edited, made=made)
    text = words_at(pieces, lambda at: False)
    return PromptPart(text, part.weight, pieces if any(isinstance(piece, TextEdit) for piece in pieces) else ())


def held_stages(params: Params, steps: int) -> list[tuple[int, Params, Params]]:
    """Return what is drawn from a step on, the first from step 0: the held picture, and that with other words."""
    held, edited = prompt_stages(held_picture(params), steps), prompt_stages(params, steps)
    starts = sorted({step for stages in (held, edited) for step, _ in stages})
    return [(step, _stage_at(held, step), _stage_at(edited, step)) for step in starts]


def _stage_at(stages: list[tuple[int, Params]], step: int) -> Params:
    return stages[bisect([first for first, _ in stages], step) - 1][1]


def drawn_rows(params: Params) -> int:
    """Return how many rows of the UNet a tile needs in a step: each text for it, and for the picture that is held."""
    if not holds(params):
        return len(guidance_weights(params))
    return max(
        2 * len({**guidance_weights(held), **guidance_weights(edited)})
        for _, held, edited in held_stages(params, params.num_inference_steps)
    )
