"""A job's cost in the queue, from which its time is estimated."""

from __future__ import annotations

import math

from generation.models.model import Model
from generation.params import FilmKind, Params
from generation.planning.actions import size_of
from generation.planning.compute_cost import compute_cost, has_hires_pass

# What surrounds the passes of the UNet, in passes over as many pixels. Measured on the embedded model, whose UNet is
# small and makes four steps; with more steps, or a larger UNet, all of it is a small part of the whole.
DECODING = 5  # and its file
ENCODING = 5  # of a source, or of what the pass of `--hd` starts from
BLENDING = 11  # of the drawn part with the part of the source that is kept


def job_cost(params: Params, model: Model | None) -> int:
    """Return a job's cost: `compute_cost`, and what it takes to read its sources and to make its pictures."""
    return compute_cost(params, model) + _pictures(params) + _sources(params)


def _pictures(params: Params) -> int:
    is_blended = params.mask is not None or params.frame is not None or bool(params.region)
    passes = DECODING + (BLENDING if is_blended else 0)
    pixels = passes * math.prod(size_of(params))
    if has_hires_pass(params):  # the first pass is decoded, enlarged and encoded
        pixels += DECODING * params.width * params.height + ENCODING * math.prod(size_of(params))
    return pixels * (params.count if params.film is None else params.film.steps)


def _sources(params: Params) -> int:
    originals = 0 if params.original is None else ENCODING * math.prod(size_of(params))
    if params.source is None:
        return originals
    is_zoom = params.film is not None and params.film.kind is not FilmKind.WALK
    times = params.film.steps if params.film is not None and is_zoom else 1
    return originals + ENCODING * params.width * params.height * (times + len(params.blended))
