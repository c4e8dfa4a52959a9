"""Load IP-Adapters with their image encoders, and keep the latest ones in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import Module, ModuleList
from transformers import CLIPVisionModelWithProjection
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from generation.engine.device.oom import is_out_of_memory
from generation.engine.device.transfer import to_device
from generation.engine.networks.control import only_lacks_weights
from generation.engine.networks.image_attention import ImageTokens, cross_attention_layers
from generation.engine.networks.network_cache import NetworkCache
from generation.engine.networks.pipeline_loader import Pipeline
from generation.engine.networks.text_encoder_files import SkipInitialization, load_text_encoder
from generation.errors import UserError
from generation.models.adapters import NO_ADAPTERS, Adapters
from generation.models.files.errors import UNEXPECTED_CONTENT
from generation.models.files.image_adapters import ATTENTION, PROJECTION, ImageAdapter, ImageEncoder
from generation.text import Text

MAX_ASPECT = 8  # of an image that is enlarged whole: one of 2048×1 pixels would take a gigabyte
MAX_CACHED = 2  # one for faces, one for all else; each takes up to a sixth of a UNet, and their encoder is shared

Weights = dict[str, dict[str, Tensor]]


class ImageAdapterNetwork(Module):
    """An IP-Adapter on the device, with its image encoder: it reads images once, before a job's first step."""

    def __init__(
        self, encoder: Any, projection: Any, layers: Mapping[str, tuple[Any, Any]], *, reads_patches: bool
    ) -> None:
        super().__init__()
        self.encoder, self._projection, self._reads_patches = encoder, projection, reads_patches
        self._names = tuple(layers)
        self._keys, self._values = (ModuleList(each) for each in zip(*layers.values(), strict=True))
        side = encoder.config.image_size
        self._processor = CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size=side)

    def read(
        self, images: Sequence[Image.Image], scale: float, layers: tuple[str, ...]
    ) -> tuple[ImageTokens | None, ...]:
        """Return what each layer of the UNet sees of images; only those whose names start with one of `layers` do."""
        tokens = self._tokens(images)
        return tuple(
            ImageTokens(to_k(tokens), scale * to_v(tokens)) if name.startswith(layers) else None
            for name, to_k, to_v in zip(self._names, self._keys, self._values, strict=True)
        )

    def _tokens(self, images: Sequence[Image.Image]) -> Tensor:
        """Return the tokens of no image and of the images (2 × tokens × width), as the stock pipelines make them."""
        pixels = self._processor([_without_ends(image) for image in images], return_tensors="pt").pixel_values
        pixels = to_device(pixels, self.encoder.device, self.encoder.dtype)
        if self._reads_patches:
            both = torch.cat([torch.zeros_like(pixels), pixels])
            embedded = self.encoder(both, output_hidden_states=True).hidden_states[-2]
        else:
            present = self.encoder(pixels).image_embeds
            embedded = torch.cat([torch.zeros_like(present), present])
        projected: Tensor = self._projection(embedded)
        return projected.reshape(2, -1, projected.shape[-1])


def _without_ends(image: Image.Image) -> Image.Image:
    """Cut the ends of a very long image, which the encoder would enlarge as a whole before it leaves them out."""
    most = MAX_ASPECT * min(image.size)
    width, height = (min(side, most) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


class ImageAdapterNetworks:
    """The IP-Adapters that were used last with one model. Safe to call from any thread."""

    def __init__(self, pipeline: Pipeline, adapters: Adapters = NO_ADAPTERS) -> None:
        self._pipeline, self._adapters = pipeline, adapters
        self._cache = NetworkCache(self._load, MAX_CACHED)
        self._encoders = NetworkCache(self._load_encoder, 1)

    @property
    def modules(self) -> list[Any]:
        """Return the networks in memory."""
        return [*self._cache.values, *self._encoders.values]

    def get(self, name: str) -> ImageAdapterNetwork:
        """Return the network of an IP-Adapter; raise UserError for one that is missing, damaged or unsuitable."""
        return self._cache.get(self._adapters.resolve_image_adapter(name, self._pipeline.model))

    def release(self) -> bool:
        """Forget all networks: a job that is prepared needs none of them. Return whether there was one."""
        released = self._cache.release(), self._encoders.release()
        return any(released)

    def _load(self, adapter: ImageAdapter) -> ImageAdapterNetwork:
        return load_image_adapter(adapter, self._pipeline, self._encoders.get(adapter.encoder))

    def _load_encoder(self, encoder: ImageEncoder) -> Any:
        return load_image_encoder(encoder, self._pipeline)


def load_image_encoder(encoder: ImageEncoder, pipeline: Pipeline) -> Any:
    """Load an image encoder in the precision of a model's UNet; raise UserError if it is damaged."""
    network = None
    try:
        network = load_text_encoder(CLIPVisionModelWithProjection, encoder.folder, pipeline.unet.dtype)
    except (*UNEXPECTED_CONTENT, RuntimeError, SafetensorError, UserError) as error:
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            raise
        raise _damaged_encoder(encoder) from error
    if network is None or not _is_finite(network):
        raise _damaged_encoder(encoder)
    return network.to(pipeline.device).eval()


def _damaged_encoder(encoder: ImageEncoder) -> UserError:
    return UserError(
        Text("The image encoder {folder} of the IP-Adapters is missing or damaged.", folder=encoder.folder.name)
    )


def load_image_adapter(adapter: ImageAdapter, pipeline: Pipeline, encoder: Any) -> ImageAdapterNetwork:
    """Load an IP-Adapter in the precision of a model's UNet; raise UserError if it is damaged or does not fit."""
    weights = _read_weights(adapter)
    if len(weights["ip_adapter"]) != 2 * len(cross_attention_layers(pipeline.unet)):
        raise _does_not_fit(adapter, pipeline)
    try:
        network = _converted(adapter, weights, pipeline.unet, encoder)
    except (*UNEXPECTED_CONTENT, RuntimeError) as error:
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            raise
        raise (_damaged(adapter) if only_lacks_weights(error) else _does_not_fit(adapter, pipeline)) from error
    if not _is_finite(network):
        raise UserError(
            Text(
                "The IP-Adapter {adapter} is unusable: its file has values that are no numbers (NaN).",
                adapter=adapter.name,
            )
        )
    return network.to(pipeline.device, pipeline.unet.dtype).eval()


def _read_weights(adapter: ImageAdapter) -> Weights:
    """Return the weights of a file as diffusers' loaders take them."""
    weights: Weights = {"image_proj": {}, "ip_adapter": {}}
    try:
        for name, weight in load_file(adapter.path).items():
            for part, prefix in (("image_proj", PROJECTION), ("ip_adapter", ATTENTION)):
                if name.startswith(prefix):
                    weights[part][name.removeprefix(prefix)] = weight
    except (*UNEXPECTED_CONTENT, SafetensorError) as error:
        raise _damaged(adapter) from error
    return weights


def _damaged(adapter: ImageAdapter) -> UserError:
    return UserError(Text("The file of the IP-Adapter {adapter} is missing or damaged.", adapter=adapter.name))


def _converted(adapter: ImageAdapter, weights: Weights, unet: Any, encoder: Any) -> ImageAdapterNetwork:
    """Return a network with the weights as diffusers converts them for a UNet, which stays unchanged."""
    with SkipInitialization():
        processors = unet._convert_ip_adapter_attn_to_diffusers([weights], low_cpu_mem_usage=False)
        projection = unet._convert_ip_adapter_image_proj_to_diffusers(weights["image_proj"], low_cpu_mem_usage=False)
    layers = {
        name: (processors[f"{name}.processor"].to_k_ip[0], processors[f"{name}.processor"].to_v_ip[0])
        for name in cross_attention_layers(unet)
    }
    return ImageAdapterNetwork(encoder, projection, layers, reads_patches=adapter.reads_patches)


def _is_finite(network: Any) -> bool:
    return all(weight.isfinite().all() for weight in network.parameters())


def _does_not_fit(adapter: ImageAdapter, pipeline: Pipeline) -> UserError:
    return UserError(
        Text(
            "The IP-Adapter {adapter} does not fit {model}: it was made for another kind of model.",
            adapter=adapter.name,
            model=pipeline.model.name,
        )
    )
