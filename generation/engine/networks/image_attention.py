"""UNets whose rows also attend to images, in cross-attention beside their text: as IP-Adapter (arXiv 2308.06721)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from generation.engine.networks.shared_attention import split_heads
from generation.engine.networks.weight_sharing import clone_sharing_weights


class ImageTokens(NamedTuple):
    """What one layer sees of an image: keys and weighted values (2 × tokens × width), first those of no image."""

    keys: Tensor
    values: Tensor


@dataclass(frozen=True, slots=True)
class PicturedRows:
    """Consecutive rows of a call, from `start`, that attend to an image: `seen` is 1 for those with it, 0 for those
    with none in its place. `layers` has the tokens of each cross-attention layer, None where it takes no part.
    """

    start: int
    seen: Tensor
    layers: Sequence[ImageTokens | None]

    def __len__(self) -> int:
        return len(self.seen)

    @property
    def places(self) -> slice:
        """Return the places of the rows in the call."""
        return slice(self.start, self.start + len(self))


class _Call:
    """A UNet call: the rows that attend to images, and the queries of the layer that is running."""

    def __init__(self, parts: Sequence[PicturedRows]) -> None:
        self.parts, self.queries = parts, Tensor()


_CALL: ContextVar[_Call | None] = ContextVar("image_attention_call", default=None)


@contextmanager
def attending_to(parts: Sequence[PicturedRows]) -> Iterator[None]:
    """Let rows of the UNet calls in this block, which run a copy of `with_image_attention`, attend to images."""
    token = _CALL.set(_Call(parts))
    try:
        yield
    finally:
        _CALL.reset(token)


def cross_attention_layers(unet: Any) -> list[str]:
    """Return the names of a UNet's layers that attend to texts, in the order of an IP-Adapter's weights."""
    return [name.removesuffix(".processor") for name in unet.attn_processors if not name.endswith("attn1.processor")]


def with_image_attention(unet: Any) -> Any:
    """Return a copy of a UNet, sharing its weights, for calls in which rows attend to images.

    What its attention processors do is unchanged: what rows see in images is added to what they return, before the
    layer's last projection. Rows without images are not touched.
    """
    clone = clone_sharing_weights(unet)
    for number, name in enumerate(cross_attention_layers(clone)):
        layer = clone.get_submodule(name)
        layer.to_q.register_forward_hook(_keep_queries)
        layer.to_out[0].register_forward_pre_hook(partial(_add_images, number, layer.heads))
    return clone


def _keep_queries(_: Any, __: Any, queries: Tensor) -> None:
    if (call := _CALL.get()) is not None:
        call.queries = queries


def _add_images(number: int, heads: int, _: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
    """Return what rows see in their text and in images, in the layer of this number."""
    call = _CALL.get()
    if call is None or not any(part.layers[number] for part in call.parts):
        return None
    seen = inputs[0].clone()
    for part in call.parts:
        if (tokens := part.layers[number]) is not None:
            queries, keys, values = call.queries[part.places], tokens.keys[part.seen], tokens.values[part.seen]
            queries, keys, values = (split_heads(each, heads) for each in (queries, keys, values))
            attended = scaled_dot_product_attention(queries, keys, values)
            seen[part.places] += attended.transpose(1, 2).flatten(2)
    return (seen, *inputs[1:])
