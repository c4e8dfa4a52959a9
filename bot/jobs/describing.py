"""Describe pictures: the params of the job, and a description for a step that no person asks for."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace

from PIL import Image

from bot.jobs.retries import retry_after_crash
from bot.services import Services
from bot.ui.i18n import tr
from generation.errors import UserError
from generation.job import Action, Job, new_job_id
from generation.messages import Generate, Reading
from generation.models.model import Model, size_for
from generation.params import ImageRef, Params, PromptPart, ReadingKind
from generation.planning.descriptions import can_describe
from generation.planning.shapes import nearest_shape
from generation.worker.worker import ignore_progress

MAX_KNOWN_LENGTH = 4000  # characters of a prompt that a file tells


def require_describer(services: Services, preferred: Model, others: Sequence[Model]) -> Model:
    """Return the preferred model if it can describe pictures, else the first of others; raise UserError for none.

    With a captioner on a machine that draws with it, each can.
    """
    models = (preferred, *others)
    able = [model for model in models if can_describe(model.vocabulary) or _has_captioner(services, model)]
    if not able:
        raise UserError(tr("None of the models here can describe pictures: that takes one that lists its words."))
    return able[0]


def _has_captioner(services: Services, model: Model) -> bool:
    """Return whether a captioner describes pictures in place of a model, or may as soon as a machine is there."""
    workers, params = services.fleet.workers, _params(model, (1, 1))
    return bool(services.config.describer) and (not workers or any(worker.can_draw(params) for worker in workers))


async def description_params(
    services: Services, image: ImageRef, preferred: Model, others: Sequence[Model], known: str = ""
) -> Params:
    """Return the params of the job that describes a picture, `known` being the prompt that it tells itself.

    If the preferred model cannot describe pictures, one of the `others` does. Raise UserError if there is none, or the
    picture is not kept any more.
    """
    model = require_describer(services, preferred, others)
    aspect = await shape_of(services, image, model)
    return replace(_params(model, aspect), parts=(PromptPart(known[:MAX_KNOWN_LENGTH]),), source=image)


def _params(model: Model, aspect: tuple[int, int]) -> Params:
    width, height = size_for(model, aspect)
    return Params(
        parts=(PromptPart(""),),
        aspect=aspect,
        width=width,
        height=height,
        seed=0,
        num_inference_steps=model.num_inference_steps,
        guidance_scale=model.guidance_scale,
        count=0,
        model=model.name,
        reading=ReadingKind.DESCRIBE,
    )


async def describe_for(services: Services, job: Job, image: ImageRef) -> list[str]:
    """Return what a picture shows, the likeliest first, for somebody who has not asked for it.

    The reading waits in the queue in the name of the `job`'s requester, under an id of its own; nothing is stored.
    Raises as `description_params`, and like a worker.
    """
    registry = services.registry
    params = await description_params(services, image, registry.resolve(job.params), registry.models)
    reading = replace(job, id=new_job_id(), action=Action.DESCRIBE, params=params)
    try:
        source = await services.images.files.read(image)
        found = await retry_after_crash(reading.id, lambda: _read(services, reading, source))
    finally:
        services.queue.remove(reading.id)  # where it is after a loss
    return await allowed_texts(services, job.destination.guild_id, found.texts)


async def _read(services: Services, reading: Job, source: bytes) -> Reading:
    async with services.queue.acquire(reading) as slot:
        request = Generate(reading.id, reading.params, slot.order, reading.destination.upload_limit, source)
        return await slot.worker.read(request, ignore_progress)


async def allowed_texts(services: Services, guild_id: int | None, texts: Iterable[str]) -> list[str]:
    """Return the descriptions, which nobody has typed, that a server's blocked words allow."""
    return [text for text in texts if await _is_allowed(services, guild_id, text)]


async def _is_allowed(services: Services, guild_id: int | None, text: str) -> bool:
    if guild_id is None:
        return True
    try:
        await services.policy.check_text(guild_id, text)
    except UserError:
        return False
    return True


async def shape_of(services: Services, image: ImageRef, model: Model) -> tuple[int, int]:
    """Return the usual aspect ratio nearest to a picture's that a model draws; raise UserError if it is not kept."""
    try:
        png = await services.images.files.read(image)
    except FileNotFoundError:
        raise UserError(tr("The picture to start from is not kept any more.")) from None
    return nearest_shape(await asyncio.to_thread(_size_of, png), model.max_aspect)


def _size_of(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as image:
        return image.size
