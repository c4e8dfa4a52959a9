"""A job's cost in the queue, from which its time is estimated."""

from __future__ import annotations

import math

from generation.models.model import Model
from generation.params import FilmKind, Params
from generation.planning.actions import size_of
from generation.planning.compute_cost import compute_cost

# A film's pictures are drawn alone and one after the other. So nothing else goes on while each is read, encoded,
# decoded and blended into its surroundings, which takes as long as this many passes of the UNet in a grid.
# Measured on the embedded model: 12. With more steps, or a faster UNet, it is a small part of the whole.
PASSES_PER_PICTURE = 12


def job_cost(params: Params, model: Model | None) -> int:
    """Return a job's cost: `compute_cost`, and for a film what else each of its pictures takes."""
    cost = compute_cost(params, model)
    if params.film is None or params.film.kind is FilmKind.WALK:
        return cost
    return cost + params.film.steps * PASSES_PER_PICTURE * math.prod(size_of(params))
