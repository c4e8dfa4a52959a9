"""Walks: films through pictures between two ends, and at which places the pictures are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from generation.errors import UserError
from generation.params import FilmKind, FilmPlan, Params, PromptPart, Tile, WalkEnd
from generation.planning.guidance import guidance_weights
from generation.planning.holding import holds
from generation.text import Text

MIN_PICTURES, MAX_PICTURES = 24, 48
LENGTHS = (24, 36, 48)  # pictures that can be chosen
PICTURES_PER_SECOND = 6


def walk(start: Params, parts: tuple[PromptPart, ...], seed: int, pictures: int, words: str = "") -> Params:
    """Return the params of a walk from `start` to another prompt and seed; raise UserError where there is no way.

    `words` are what its end shows, if that is something else.
    """
    if not MIN_PICTURES <= pictures <= MAX_PICTURES:
        raise UserError(Text("A walk has {low} to {high} pictures.", low=MIN_PICTURES, high=MAX_PICTURES))
    if (parts, seed) == (start.parts, start.seed):
        raise UserError(Text("Both ends are the same picture: choose two, or give the second prompt a `--seed`."))
    plan = FilmPlan(FilmKind.WALK, pictures, (words,) if words else (), WalkEnd(parts, seed))
    if holds(start):
        raise UserError(Text("A walk holds no picture: leave out `--hold` and `--retouch`."))
    if parts != start.parts and any(part.edited for part in (*start.parts, *parts)):
        raise UserError(Text("A walk between two prompts cannot change its words on the way: leave out `[…:…:…]`."))
    weights = [list(guidance_weights(replace(start, parts=each)).values()) for each in (start.parts, parts)]
    if weights[0] != weights[1]:
        raise UserError(Text("Both prompts need the same number of parts, with the same weights."))
    return replace(start, count=1, video=False, same_seed=False, film=plan)


def walk_between(parent: Params, first: Tile, second: Tile, pictures: int) -> Params:
    """Return the params of a walk between two tiles of a grid; raise UserError where there is no way."""
    if parent.same_seed and parent.chaos:
        raise UserError(Text("These pictures differ by their words alone, so there is no walk between them."))
    start = replace(parent, seed=parent.seed_of(first.index))
    params = walk(start, parent.parts, parent.seed_of(second.index), pictures)
    assert params.film is not None and params.film.to is not None, "a walk"
    return replace(params, film=replace(params.film, to=replace(params.film.to, tiles=(first, second))))


def first_picture(params: Params) -> Params:
    """Return the params of a walk's first picture."""
    return replace(params, film=None)


def first_places(pictures: int) -> tuple[float, ...]:
    """Return where the first half of a walk's pictures is drawn: both ends, and places evenly between them."""
    steps = pictures // 2
    return tuple(index / steps for index in range(steps + 1))


def places_between(places: Sequence[float], distances: Sequence[float], pictures: int) -> tuple[float, ...]:
    """Return where the rest of a walk is drawn: in the gaps between `places` whose pictures differ most.

    `distances` are those of neighbouring pictures. Each further place goes where the steps are the largest by then.
    """
    added = [0] * len(distances)
    for _ in range(pictures - len(places)):
        widest = max(range(len(added)), key=lambda gap: (distances[gap] / (added[gap] + 1), -added[gap], -gap))
        added[widest] += 1
    return tuple(
        start + (end - start) * (index + 1) / (count + 1)
        for (start, end), count in zip(pairwise(places), added, strict=True)
        for index in range(count)
    )
