"""The style reference of a job: its row in each UNet call, and its colours in each prediction."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from torch import Generator, Tensor

from generation.engine.conditioning.encoder import PromptEmbedding
from generation.engine.device.transfer import to_device
from generation.engine.images.io import read_style
from generation.engine.images.windows import layout_windows
from generation.engine.networks.vae import Vae
from generation.messages import Generate
from generation.models.model import Model
from generation.planning.style import (
    PALETTE_MOMENTS,
    attention_share,
    has_leader,
    has_style,
    has_style_adapter,
    moments_share,
)
from generation.planning.tiling import window_size

NOISE_SEED = 0  # the same for all jobs, so that a tile alone has the same leader as its grid


@dataclass(frozen=True, slots=True)
class StyleReference:
    """A reference's clean latents at the size of a UNet row (1×C×H×W), and the noise that is added to them.

    `text` is the empty text, and `time_ids` those of the whole reference: what its row is conditioned on. Without
    `attention`, only the reference's colours count, and it has no row.
    """

    latents: Tensor
    noise: Tensor
    text: PromptEmbedding
    time_ids: Tensor
    attention: float
    moments: float

    def restyle(self, clean: Tensor) -> Tensor:
        """Return predicted clean latents whose mean and deviation are nearer to the reference's, by channel."""
        mean, deviation = clean.mean((-2, -1), keepdim=True), clean.std((-2, -1), keepdim=True).clamp(min=1e-6)
        wanted_mean = self.latents.mean((-2, -1), keepdim=True)
        wanted_deviation = self.latents.std((-2, -1), keepdim=True)
        adopted = (clean - mean) / deviation * wanted_deviation + wanted_mean
        return clean + self.moments * (adopted - clean)


def encode_style(request: Generate, vae: Vae, model: Model, unet_lock: threading.Lock) -> Tensor | None:
    """Return the latents of a request's style reference at the size of a UNet row, None if it has none.

    Raises UserError for a picture that cannot be read.
    """
    if request.style is None or not has_style(request.params) or has_style_adapter(request.params):
        return None
    canvas = request.params.height // vae.scale, request.params.width // vae.scale
    height, width = row_size(canvas, vae, model)
    pixels = read_style(request.style, (width * vae.scale, height * vae.scale))
    return vae.encode_low_memory(unet_lock, pixels).mean


def row_size(canvas: tuple[int, int], vae: Vae, model: Model) -> tuple[int, int]:
    """Return the height and width of a UNet row in latents: the canvas, or a window of one that is too large."""
    return window_size(canvas, vae.side, max(1, model.size_multiple // vae.scale), model.max_aspect)


def style_reference(request: Generate, latents: Tensor, text: PromptEmbedding, vae: Vae) -> StyleReference:
    """Return the reference of a job, whose weight says how strongly it acts."""
    height, width = latents.shape[-2:]
    weight, leads = request.params.style_weight, has_leader(request.params)
    return StyleReference(
        latents,
        vae.noise(width * vae.scale, height * vae.scale, [Generator("cpu").manual_seed(NOISE_SEED)]),
        text,
        to_device(layout_windows((height, width), (height, width)).time_ids(vae.scale), latents.device),
        attention_share(weight) if leads else 0.0,
        moments_share(weight) if leads else PALETTE_MOMENTS,
    )
