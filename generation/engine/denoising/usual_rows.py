"""The jobs that a model gets most, and the rows of their calls: one to four grids of its own size."""

from __future__ import annotations

from collections.abc import Iterator

from generation.engine.conditioning.encoder import PromptEncoder
from generation.engine.denoising.job_setup import EncodedPictures, prepare_job
from generation.engine.denoising.rows import Rows, join_rows
from generation.engine.networks.sampler_tables import SamplerTables
from generation.engine.networks.vae import Vae
from generation.messages import Generate
from generation.models.model import Model
from generation.params import Params, PromptPart, Upload


def usual_params(model: Model) -> Params:
    """Return the params of a grid as a model draws it by default."""
    side = model.native_size
    return Params(
        parts=(PromptPart("a picture"),),
        width=side,
        height=side,
        seed=0,
        num_inference_steps=model.num_inference_steps,
        guidance_scale=model.guidance_scale,
        original=Upload("") if model.is_editor else None,
    )


def usual_rows(model: Model, encoder: PromptEncoder, vae: Vae, samplers: SamplerTables, limit: int) -> Iterator[Rows]:
    """Yield the rows of one grid, of two and so on, up to `limit` rows."""
    job = prepare_job(Generate("", usual_params(model), 0, 0), EncodedPictures(), encoder, vae, model, samplers)
    grid = job.next_rows(job.remaining_rows)
    for grids in range(1, limit // len(grid) + 1):
        yield join_rows([grid] * grids)
