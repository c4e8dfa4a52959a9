"""Prepare a reading for its first questions."""

from __future__ import annotations

from typing import Any

from generation.engine.conditioning.encoder import PromptEncoder
from generation.engine.denoising.job import EncodedSource
from generation.engine.denoising.probes import ProbeMaker
from generation.engine.denoising.reading import ReadingJob
from generation.engine.denoising.word_weights import NOISE_LEVELS, weigh_words
from generation.engine.networks.vae import Vae
from generation.messages import Generate
from generation.planning.readings import reading_rows


def prepare_reading(
    request: Generate, encoded: EncodedSource | None, encoder: PromptEncoder, vae: Vae, scheduler: Any
) -> ReadingJob:
    """Return the job that reads what a request asks about."""
    probes, texts = ProbeMaker(request.params, vae, scheduler), [part.text for part in request.params.parts]
    of_noise = probes.of_noise(NOISE_LEVELS)
    questions = weigh_words(texts, of_noise)
    longest = max(texts, key=encoder.chunk_count)
    return ReadingJob(request, questions, encoder, of_noise[0].latents, longest, reading_rows(request.params))
