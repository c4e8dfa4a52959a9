"""A model's networks as jobs use them: unchanged, or with a set of LoRAs."""

from __future__ import annotations

import threading
from functools import cached_property, lru_cache
from typing import Any

from generation.engine.conditioning.encoder import PromptEncoder
from generation.engine.conditioning.textual_inversion import with_embeddings
from generation.engine.networks.image_attention import with_image_attention
from generation.engine.networks.lora import with_loras
from generation.engine.networks.pipeline_loader import Pipeline
from generation.engine.networks.seamless import seamless_copy
from generation.engine.networks.shared_attention import SharedAttentionUnet
from generation.models.adapters import NO_ADAPTERS, Adapters
from generation.models.files.lora import Lora
from generation.params import Params

MAX_CACHED_LORA_SETS = 4  # a set takes as much memory as its files


class ModelVariant:
    """A UNet and its prompt encoder."""

    def __init__(self, encoder: PromptEncoder, unet: Any) -> None:
        self.encoder, self._unet = encoder, unet
        self._with_images: dict[tuple[bool, bool], Any] = {}

    @cached_property
    def _seamless_unet(self) -> Any:
        return seamless_copy(self._unet)

    @cached_property
    def _shared_unet(self) -> SharedAttentionUnet:
        return SharedAttentionUnet(self._unet)

    @cached_property
    def _shared_seamless_unet(self) -> SharedAttentionUnet:
        return SharedAttentionUnet(self._seamless_unet)

    def unet(self, *, seamless: bool, leaders: bool = False, images: bool = False) -> Any:
        """Return the UNet; with `seamless` its copy with circular padding, with `leaders` a SharedAttentionUnet.

        With `images`, it is one whose rows may attend to images.
        """
        if images:
            return self._unet_with_images(seamless, leaders)
        if leaders:
            return self._shared_seamless_unet if seamless else self._shared_unet
        return self._seamless_unet if seamless else self._unet

    def _unet_with_images(self, seamless: bool, leaders: bool) -> Any:
        if (seamless, leaders) not in self._with_images:
            unet = with_image_attention(self.unet(seamless=seamless))
            self._with_images[seamless, leaders] = SharedAttentionUnet(unet) if leaders else unet
        return self._with_images[seamless, leaders]


class ModelVariants:
    """The variant without LoRAs, and those with the latest sets of LoRAs; a running job keeps its own."""

    def __init__(self, pipeline: Pipeline, adapters: Adapters = NO_ADAPTERS) -> None:
        self._pipeline, self._adapters = with_embeddings(pipeline, adapters.embeddings), adapters
        self.base = ModelVariant(PromptEncoder(self._pipeline), self._pipeline.unet)
        self._cached = lru_cache(MAX_CACHED_LORA_SETS)(self._create)
        self._lock = threading.Lock()

    def get(self, params: Params) -> ModelVariant:
        """Return the variant for `params`, which reads files unless it is cached; raises UserError.

        It is safe to call from several threads.
        """
        loras = self._adapters.resolve_loras(params)
        if not loras:
            return self.base
        with self._lock:  # else jobs that arrive together would each read the same files
            return self._cached(loras)

    def _create(self, loras: tuple[tuple[Lora, float], ...]) -> ModelVariant:
        changed = with_loras(self._pipeline, loras)
        same_text_encoders = changed.text_encoders == self._pipeline.text_encoders
        return ModelVariant(self.base.encoder if same_text_encoders else PromptEncoder(changed), changed.unet)
