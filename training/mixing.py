"""Samples that mix two drawings, so that the model answers to weights, chaos and images in proportion.

Trained on single captions only, a UNet decides early: two colours of equal weight give one of them.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import torch
from torch import Tensor

from training.captions import make_caption
from training.subjects import Subject


class Sample(NamedTuple):
    """Latents (channels × height × width) and their caption, whose embedding is moved by `share` towards another's."""

    latents: Tensor
    caption: str
    other: str = ""
    share: float = 0.0


Drawn = tuple[Tensor, Subject]


def mix(first: Drawn, second: Drawn, rng: random.Random) -> Sample:
    """Return a mixture of two drawings of one size: a blend of plain backgrounds, or else one or the other image."""
    share = rng.random()
    if is_plain(first[1]) and is_plain(second[1]):
        return rng.choice((_blend_embeddings, _name_both, _keep_the_caption))(first, second, share, rng)
    shown = second if rng.random() < share else first
    return Sample(shown[0], _caption(first, rng), _caption(second, rng), share)


def is_plain(subject: Subject) -> bool:
    """Return whether a subject is nothing but a background of one colour."""
    return bool(subject.background) and not subject.thing and not subject.style


def _blend_embeddings(first: Drawn, second: Drawn, share: float, rng: random.Random) -> Sample:
    return Sample(torch.lerp(first[0], second[0], share), _caption(first, rng), _caption(second, rng), share)


def _name_both(first: Drawn, second: Drawn, share: float, rng: random.Random) -> Sample:
    joint = rng.choice((" ", " and ", ", "))
    caption = f"{first[1].background}{joint}{second[1].background} background"
    return Sample(torch.lerp(first[0], second[0], 0.3 + 0.4 * share), caption)


def _keep_the_caption(first: Drawn, second: Drawn, share: float, rng: random.Random) -> Sample:
    """Return a background that is mostly as its caption says, so that the model believes what it sees."""
    return Sample(torch.lerp(first[0], second[0], share / 2), _caption(first, rng))


def _caption(drawn: Drawn, rng: random.Random) -> str:
    """Return a caption without unknown nouns: they would come to mean an empty background."""
    return make_caption(drawn[1], rng)
