"""A model's networks as jobs want them: as they are, or changed by a set of LoRAs."""

from __future__ import annotations

import threading
from functools import cached_property, lru_cache
from typing import Any

from generation.additions import NO_ADDITIONS, Additions
from generation.engine.conditioning import PromptEncoder
from generation.engine.loading import Pipeline
from generation.engine.lora import with_loras
from generation.engine.seamless import seamless_twin
from generation.engine.textual_inversion import with_words
from generation.lora import Lora
from generation.params import Params

KEPT_SETS = 4  # a set takes as much memory as its files do


class Variant:
    """What tells texts to a UNet, and the UNet."""

    def __init__(self, encoder: PromptEncoder, unet: Any) -> None:
        self.encoder, self._unet = encoder, unet

    @cached_property
    def _endless(self) -> Any:
        return seamless_twin(self._unet)

    def unet(self, *, seamless: bool) -> Any:
        """Give the UNet; a `seamless` one takes every picture for endless."""
        return self._endless if seamless else self._unet


class Variants:
    """The one without LoRAs, and those with the sets that were asked for latest; a job keeps the one that it has."""

    def __init__(self, pipeline: Pipeline, additions: Additions = NO_ADDITIONS) -> None:
        self._pipeline, self._additions = with_words(pipeline, additions.inversions), additions
        self.plain = Variant(PromptEncoder(self._pipeline), self._pipeline.unet)
        self._remembered = lru_cache(KEPT_SETS)(self._changed)
        self._reading = threading.Lock()

    def of(self, params: Params) -> Variant:
        """Give the one that draws `params`, reading files where it must be made; raises Complaint.

        May be called from several threads.
        """
        loras = self._additions.used(params)
        if not loras:
            return self.plain
        with self._reading:  # else jobs that come together would each read the same files
            return self._remembered(loras)

    def _changed(self, loras: tuple[tuple[Lora, float], ...]) -> Variant:
        changed = with_loras(self._pipeline, loras)
        tells_as_ever = changed.text_encoders == self._pipeline.text_encoders
        return Variant(self.plain.encoder if tells_as_ever else PromptEncoder(changed), changed.unet)
