"""Prepare a reading for its first questions."""

from __future__ import annotations

from typing import Any

from generation.engine.conditioning.encoder import PromptEncoder
from generation.engine.denoising.job_setup import EncodedSource
from generation.engine.denoising.probes import ProbeMaker
from generation.engine.denoising.reading import ReadingJob
from generation.engine.denoising.self_description import describe_picture
from generation.engine.denoising.word_weights import weigh_words
from generation.engine.networks.vae import Vae
from generation.errors import UserError
from generation.messages import Generate
from generation.models.model import Model
from generation.planning.descriptions import can_describe
from generation.planning.readings import MORE_NOISE_LEVELS, PICTURE_NOISE_LEVELS, WORD_NOISE_LEVELS, reading_rows
from generation.text import Text


def prepare_reading(
    request: Generate, encoded: EncodedSource | None, encoder: PromptEncoder, vae: Vae, scheduler: Any, model: Model
) -> ReadingJob:
    """Return the job that reads what a request asks about; raise UserError if the model cannot."""
    maker, rows = ProbeMaker(request.params, vae, scheduler), reading_rows(request.params, model)
    if encoded is None:
        texts, of_noise = [part.text for part in request.params.parts], maker.of_noise(WORD_NOISE_LEVELS)
        longest = max(texts, key=encoder.chunk_count)
        return ReadingJob(request, weigh_words(texts, of_noise), encoder, of_noise[0].latents, longest, rows)
    if model.vocabulary is None or not can_describe(model.vocabulary):
        raise UserError(Text("{model} cannot describe pictures: it has no list of words.", model=model.name))
    clean = encoded.images[0].mean
    levels, few = (*PICTURE_NOISE_LEVELS, *MORE_NOISE_LEVELS), len(PICTURE_NOISE_LEVELS)
    probes = [maker.of_picture(clean, fraction, number) for number, fraction in enumerate(levels)]
    questions = describe_picture(model.vocabulary, probes[:few], probes[few:])
    return ReadingJob(request, questions, encoder, clean, "", rows)
