"""What a job draws after how many steps, where the words of its prompt change on the way."""

from __future__ import annotations

from dataclasses import replace

from generation.edited_text import edits_of, first_step, text_after
from generation.params import Params, PromptPart


def prompt_stages(params: Params, steps: int) -> list[tuple[int, Params]]:
    """Return the params whose texts are drawn from a step on, the first from step 0; their own words do not change.

    A walk whose words change has the same ones at both of its ends.
    """
    changes = {first_step(edit.at, steps) for part in params.parts for edit in edits_of(part.edited)}
    stages = [(0, _params_after(params, 0, steps))]
    for step in sorted(step for step in changes if 0 < step < steps):
        changed = _params_after(params, step, steps)
        if changed != stages[-1][1]:
            stages.append((step, changed))
    return stages


def _params_after(params: Params, done: int, steps: int) -> Params:
    parts = _parts_after(params.parts, done, steps)
    film = params.film
    if film is not None and film.to is not None:
        film = replace(film, to=replace(film.to, parts=_parts_after(film.to.parts, done, steps)))
    return replace(params, parts=parts, film=film)


def _parts_after(parts: tuple[PromptPart, ...], done: int, steps: int) -> tuple[PromptPart, ...]:
    return tuple(
        PromptPart(text_after(part.edited, done, steps), part.weight) if part.edited else part for part in parts
    )
