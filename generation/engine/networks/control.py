"""Load ControlNets, and keep the latest ones in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import torch
from diffusers import ControlNetModel
from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint
from safetensors import SafetensorError, safe_open
from torch import Tensor

from generation.engine.device.oom import is_out_of_memory
from generation.engine.device.transfer import to_device
from generation.engine.networks.ldm_checkpoint import build_network
from generation.engine.networks.network_cache import NetworkCache
from generation.engine.networks.pipeline_loader import Pipeline, network_to_device, vae_scale_factor
from generation.engine.networks.seamless import seamless_copy
from generation.engine.networks.weight_sharing import clone_sharing_weights
from generation.errors import UserError
from generation.models.adapters import NO_ADAPTERS, Adapters
from generation.models.files.controls import CONFIG, LDM_PREFIX, ControlNet, without_prefix
from generation.models.files.errors import UNEXPECTED_CONTENT
from generation.params import Params
from generation.text import Text

MAX_CACHED = 3  # as many as a prompt can have; one takes about half as much memory as its model's UNet
# What a ControlNet must have in common with a UNet, since its outputs are added to what that passes on.
_SHARED_SETTINGS = ("block_out_channels", "layers_per_block", "cross_attention_dim", "addition_embed_type")
# The layers that read the picture, in the two layouts: the first, and those that halve it, with their numbers.
_HINT, _HALVING = "controlnet_cond_embedding.conv_in.weight", ("controlnet_cond_embedding.blocks.{}.weight", 1, 2)
_LDM_HINT, _LDM_HALVING = "input_hint_block.0.weight", ("input_hint_block.{}.weight", 4, 4)


class _Halves(NamedTuple):
    embedding: Any
    trunk: Any


class ControlNetwork:
    """A ControlNet on the device: it embeds a picture of its `kind` once, and then goes along with a UNet's rows."""

    def __init__(self, network: Any, kind: str) -> None:
        self.network, self.kind = network, kind

    @cached_property
    def _plain(self) -> _Halves:
        return _split(clone_sharing_weights(self.network))

    @cached_property
    def _seamless(self) -> _Halves:
        return _split(seamless_copy(self.network))

    def embed(self, pixels: Tensor, *, seamless: bool) -> Tensor:
        """Return the embedding of a picture (1×3×H×W in 0…1), at the size of its latents."""
        pixels = to_device(pixels, self.network.device, self.network.dtype)
        if self.network.config.controlnet_conditioning_channel_order == "bgr":
            pixels = pixels.flip(1)
        embedded: Tensor = (self._seamless if seamless else self._plain).embedding(pixels)
        return embedded

    def residuals(
        self, latents: Tensor, timesteps: Tensor, conditions: Mapping[str, Any], pictures: Tensor, *, seamless: bool
    ) -> tuple[Tensor, ...]:
        """Return what is added to the UNet's blocks for these rows, the middle one last; `pictures` are embedded."""
        down, middle = (self._seamless if seamless else self._plain).trunk(
            latents,
            timesteps,
            encoder_hidden_states=conditions["encoder_hidden_states"],
            added_cond_kwargs=conditions["added_cond_kwargs"],
            controlnet_cond=pictures,
            return_dict=False,
        )
        return (*down, middle)


def _split(copied: Any) -> _Halves:
    """Return the layers of a copied ControlNet that embed a picture, and the rest of it, which takes what they give."""
    embedding, copied.controlnet_cond_embedding = copied.controlnet_cond_embedding, torch.nn.Identity()
    copied.register_to_config(controlnet_conditioning_channel_order="rgb")
    return _Halves(embedding, copied)


class ControlNetworks:
    """The ControlNets that were used last with one model; a running job keeps its own. Safe to call from any thread."""

    def __init__(self, pipeline: Pipeline, adapters: Adapters = NO_ADAPTERS) -> None:
        self._pipeline, self._adapters = pipeline, adapters
        self._cache = NetworkCache(self._load, MAX_CACHED)

    @property
    def modules(self) -> list[Any]:
        """Return the networks in memory."""
        return [control.network for control in self._cache.values]

    def get(self, params: Params) -> tuple[ControlNetwork, ...]:
        """Return the networks of `params`, in order; raise UserError for one that is missing, damaged or unsuitable."""
        model = self._pipeline.model
        return tuple(self._cache.get(self._adapters.resolve_control(use.name, model)) for use in params.control_set)

    def _load(self, control: ControlNet) -> ControlNetwork:
        return ControlNetwork(load_control(control, self._pipeline), control.kind)

    def release(self, used: Collection[ControlNetwork]) -> bool:
        """Forget the networks that are not `used`; return whether there was one."""
        return self._cache.release(used)


def load_control(control: ControlNet, pipeline: Pipeline) -> Any:
    """Load a ControlNet in the precision of a model's UNet; raise UserError if it is damaged or does not fit."""
    try:
        weights = _read_weights(control)
        config = _folder_config(control) if control.path.is_dir() else _config_like(pipeline.unet, weights)
        weights = convert_controlnet_checkpoint(weights, config)
        dtype = pipeline.unet.dtype
        network = build_network(ControlNetModel, config, {name: each.to(dtype) for name, each in weights.items()})
    except (*UNEXPECTED_CONTENT, RuntimeError, SafetensorError, UserError) as error:
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            raise
        if isinstance(error, OSError | SafetensorError | UserError | AttributeError) or only_lacks_weights(error):
            text = Text("The file of the ControlNet {control} is missing or damaged.", control=control.name)
            raise UserError(text) from error
        raise _does_not_fit(control, pipeline) from error
    if not fits(network, pipeline):
        raise _does_not_fit(control, pipeline)
    if not all(weight.isfinite().all() for weight in network.parameters()):
        raise UserError(
            Text(
                "The ControlNet {control} is unusable: its file has values that are no numbers (NaN).",
                control=control.name,
            )
        )
    return network_to_device(network, pipeline.device)


def only_lacks_weights(error: Exception) -> bool:
    """Return whether torch found weights missing, and nothing else wrong with them."""
    text = str(error)
    return "Missing key" in text and "Unexpected key" not in text and "size mismatch" not in text


def fits(network: Any, pipeline: Pipeline) -> bool:
    """Return whether what a ControlNet gives out has the shapes of what the UNet passes on."""
    ours, theirs = network.config, pipeline.unet.config
    shrinks = 2 ** (len(ours.conditioning_embedding_out_channels) - 1)
    return shrinks == vae_scale_factor(pipeline.vae) and all(
        _plain(ours[name]) == _plain(theirs[name]) for name in _SHARED_SETTINGS
    )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value


def _folder_config(control: ControlNet) -> dict[str, Any]:
    config: dict[str, Any] = ControlNetModel.load_config(control.path / CONFIG)
    return config


def _config_like(unet: Any, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the configuration of a ControlNet in a single file: it is a copy of the UNet's half, with a hint."""
    hint = _hint_channels(weights)
    with torch.device("meta"):
        like = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=hint, load_weights_from_unet=False)
    return dict(like.config)


def _hint_channels(weights: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Return the channels of the layers that read the picture: of the first, and of each that halves it."""
    first, (pattern, start, step) = (_HINT, _HALVING) if _HINT in weights else (_LDM_HINT, _LDM_HALVING)
    channels = [len(weights[first])]
    while (halving := weights.get(pattern.format(start + step * (len(channels) - 1)))) is not None:
        channels.append(len(halving))
    return tuple(channels)


def _read_weights(control: ControlNet) -> dict[str, Tensor]:
    """Return the weights of a ControlNet alone: some files hold the whole model beside it."""
    weights: dict[str, Tensor] = {}
    for path in control.weight_files:
        if path.name == CONFIG:
            continue
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            own = [name for name in names if name.startswith(LDM_PREFIX)] or names
            weights |= {name: file.get_tensor(name) for name in own}
    return without_prefix(weights)


def _does_not_fit(control: ControlNet, pipeline: Pipeline) -> UserError:
    return UserError(
        Text(
            "The ControlNet {control} does not fit {model}: it was made for another kind of model.",
            control=control.name,
            model=pipeline.model.name,
        )
    )
