"""IP-Adapters in the one loop: what a job's rows see of the images that it was given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from generation.engine.images.io import read_image
from generation.engine.networks.image_adapter import ImageAdapterNetworks
from generation.engine.networks.image_attention import ImageTokens, PicturedRows
from generation.messages import Generate
from generation.models.model import Model
from generation.planning.image_prompts import (
    ALL_LAYERS,
    STYLE_LAYERS,
    character_scale,
    has_character,
    has_image_prompts,
    image_scale,
    style_scale,
)
from generation.planning.style import has_style_adapter


@dataclass(frozen=True, slots=True)
class ImagePrompt:
    """What each cross-attention layer sees of images that a job was given together; None where it sees nothing."""

    layers: tuple[ImageTokens | None, ...]

    @property
    def tensors(self) -> Iterator[Tensor]:
        """Yield all that it has on the device."""
        yield from (tensor for tokens in self.layers if tokens is not None for tensor in tokens)

    def rows(self, seen: Tensor) -> PicturedRows:
        """Return the part of a call that attends to it: a row for each of `seen`, which is 1 for those with it."""
        return PicturedRows(0, seen, self.layers)


@torch.inference_mode()
def read_image_prompts(request: Generate, networks: ImageAdapterNetworks, model: Model) -> tuple[ImagePrompt, ...]:
    """Return what IP-Adapters see of a request's images.

    Raise UserError for one that cannot be read, and for an IP-Adapter that cannot be used.
    """
    return tuple(
        ImagePrompt(networks.get(adapter).read([read_image(data) for data in images], scale, layers))
        for adapter, images, scale, layers in _uses(request, model)
    )


def _uses(request: Generate, model: Model) -> Iterator[tuple[str, Sequence[bytes], float, tuple[str, ...]]]:
    """Yield the IP-Adapters of a request, with their images, how much they count, and in which layers."""
    params = request.params
    if has_style_adapter(params) and request.style is not None:
        layers = STYLE_LAYERS.get(model.family, ALL_LAYERS)
        yield params.style_adapter, [request.style], style_scale(params), layers
    if has_character(params) and request.character is not None:
        yield params.character_adapter, [request.character], character_scale(params), ALL_LAYERS
    if has_image_prompts(params) and request.image_prompts:
        yield params.image_adapter, request.image_prompts, image_scale(params), ALL_LAYERS
