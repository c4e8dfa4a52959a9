"""Describe pictures: the params of the job, and a description without a job of its own."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace

from PIL import Image

from bot.services import Services
from bot.ui.i18n import tr
from generation.errors import UserError
from generation.job import Action, Job
from generation.messages import Generate, Progress
from generation.models.model import Model, size_for
from generation.models.registry import ModelRegistry
from generation.params import Params, PromptPart, ReadingKind, Upload
from generation.planning.descriptions import can_describe

SHAPES = ((1, 1), (5, 4), (4, 3), (3, 2), (16, 9), (2, 1), (7, 3), (3, 1))
MAX_KNOWN_LENGTH = 4000  # characters of a prompt that a file tells


def require_describer(registry: ModelRegistry, preferred: Model) -> Model:
    """Return the preferred model if it can describe pictures, else the first that can; raise UserError for none."""
    able = [model for model in (preferred, *registry.models) if can_describe(model.vocabulary)]
    if not able:
        raise UserError(tr("None of the models here can describe pictures: that takes one that lists its words."))
    return able[0]


async def description_params(services: Services, upload: Upload, preferred: Model, known: str = "") -> Params:
    """Return the params of the job that describes a picture, `known` being the prompt that it tells itself.

    Raise UserError if no model can describe pictures, or the picture is not kept any more.
    """
    model = require_describer(services.registry, preferred)
    try:
        png = await services.images.files.read(upload)
    except FileNotFoundError:
        raise UserError(tr("The picture to start from is not kept any more.")) from None
    aspect = nearest_shape(await asyncio.to_thread(_size_of, png), model.max_aspect)
    width, height = size_for(model, aspect)
    return Params(
        parts=(PromptPart(known[:MAX_KNOWN_LENGTH]),),
        aspect=aspect,
        width=width,
        height=height,
        seed=0,
        num_inference_steps=model.num_inference_steps,
        guidance_scale=model.guidance_scale,
        count=0,
        source=upload,
        model=model.name,
        reading=ReadingKind.DESCRIBE,
    )


async def describe_for(services: Services, job: Job, upload: Upload) -> str:
    """Return what a picture shows, in one sentence, for somebody who has not asked for it.

    The reading waits in the queue in the name of the `job`'s requester, but is no job of its own: nothing is stored.
    Raises as `description_params`, and like a worker.
    """
    params = await description_params(services, upload, services.registry.resolve(job.params))
    reading = replace(job, action=Action.DESCRIBE, params=params)
    source = await services.images.files.read(upload)
    async with services.queue.acquire(reading) as slot:
        request = Generate(reading.id, params, slot.order, job.destination.upload_limit, source)
        found = await slot.worker.read(request, _ignore)
    return found.texts[0] if found.texts else ""


def nearest_shape(size: tuple[int, int], max_aspect: float) -> tuple[int, int]:
    """Return the usual aspect ratio that is nearest to a picture's."""
    width, height = size
    shapes = [shape for shape in SHAPES if shape[0] <= max_aspect * shape[1]]
    ratio = max(width, height) / max(1, min(width, height))
    long, short = min(shapes, key=lambda shape: abs(shape[0] / shape[1] - ratio))
    return (long, short) if width >= height else (short, long)


def _size_of(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as image:
        return image.size


def _ignore(_: Progress) -> None:
    pass
