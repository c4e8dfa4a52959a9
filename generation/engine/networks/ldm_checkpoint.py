"""Load a model's parts from one file in the original (LDM) layout of Stable Diffusion, without the hub."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from generation.engine.device.device import multiplies_bfloat16
from generation.engine.networks.text_encoder_files import SkipInitialization
from generation.errors import UserError
from generation.models.catalogue import Family
from generation.models.files.checkpoint import IGNORED_SUFFIXES, SCALE_SUFFIXES, CheckpointInfo, scaled_weight
from generation.models.files.ldm_layout import (
    CLIP,
    HEAD_DIM,
    OPEN_CLIP,
    SDXL_CLIP,
    SDXL_OPEN_CLIP,
    Shapes,
    unet_config,
    unused_text_layers,
    vae_config,
)
from generation.models.files.safetensors_header import read_header
from generation.models.model import Model

CLIP_MERGES = Path(__file__).resolve().parents[3] / "models" / "clip" / "merges.txt.gz"
BOS_TOKEN, EOS_TOKEN = "<|startoftext|>", "<|endoftext|>"
CONTEXT_LENGTH = 77  # tokens

StateDict = Mapping[str, Tensor]


class LdmCheckpoint:
    """The weights of one file; `load` returns a part of the model, on the CPU unless `weights` are elsewhere."""

    def __init__(self, file: CheckpointInfo, model: Model, weights: StateDict | None = None) -> None:
        self._file, self._native_size = file, model.native_size
        self._weights = _unscaled(_load_weights(file.path) if weights is None else weights)
        self._factories: dict[str, Callable[[], Any]] = {
            "tokenizer": partial(clip_tokenizer, "!" if file.family is Family.SD2 else EOS_TOKEN),
            "text_encoder": self._text_encoder,
            "unet": self._unet,
            "vae": self._vae,
            "scheduler": self._scheduler,
        }
        self.settings = {"force_zeros_for_empty_prompt": file.family is Family.SDXL}
        if file.family is Family.SDXL:
            self._factories |= {"tokenizer_2": partial(clip_tokenizer, "!"), "text_encoder_2": self._text_encoder_2}

    @property
    def parts(self) -> list[str]:
        """Return the names of the parts."""
        return sorted(self._factories)

    def load(self, part: str, precision: torch.dtype) -> Any:
        """Build a part, a network in `precision`; raises UserError if the file's weights do not fit."""
        try:
            loaded = self._factories[part]()
        except (RuntimeError, KeyError, IndexError, ValueError) as error:
            name = part.replace("_", " ")
            raise UserError(f"The {name} in {self._file.path} is not shaped like Stable Diffusion's.") from error
        if not isinstance(loaded, torch.nn.Module):
            return loaded
        return loaded.to(vae_dtype(precision) if part == "vae" and self._file.family is Family.SDXL else precision)

    def _text_encoder(self) -> Any:
        is_open = self._file.family is Family.SD2
        weights = (
            convert_open_clip(self._weights, OPEN_CLIP, skipped_layers=unused_text_layers(shapes_of(self._weights)))
            if is_open
            else _convert_clip(self._weights)
        )
        config = text_encoder_config(weights, "gelu" if is_open else "quick_gelu")
        with SkipInitialization():  # random weights would take longer than these
            network = transformers.CLIPTextModel(config)
        getattr(network, "text_model", network).load_state_dict(weights, assign=True)
        return network

    def _text_encoder_2(self) -> Any:
        weights = convert_open_clip(self._weights, SDXL_OPEN_CLIP)
        projection = _text_projection(self._weights).contiguous()
        config = text_encoder_config(weights, "gelu", projection_dim=len(projection))
        with SkipInitialization():
            network = transformers.CLIPTextModelWithProjection(config)
        network.text_model.load_state_dict(weights, assign=True)
        network.text_projection.load_state_dict({"weight": projection}, assign=True)
        return network

    def _unet(self) -> Any:
        config = unet_config(shapes_of(self._weights), self._file.family, self._native_size)
        return build_network(
            diffusers.UNet2DConditionModel, config, convert_ldm_unet_checkpoint(dict(self._weights), config)
        )

    def _vae(self) -> Any:
        config = vae_config(shapes_of(self._weights), self._file.family, self._native_size)
        return build_network(diffusers.AutoencoderKL, config, convert_ldm_vae_checkpoint(dict(self._weights), config))

    def _scheduler(self) -> Any:
        noise = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"} if self._file.zero_terminal_snr else {}
        return diffusers.DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
            prediction_type="v_prediction" if self._file.v_prediction else "epsilon",
            **noise,
        )


def _load_weights(path: Path) -> dict[str, Tensor]:
    """Read a file's weights; raises UserError for a damaged file."""
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        read_header(path)  # it knows the reason
        raise UserError(f"{path} cannot be read: {error}") from error


def _unscaled(stored: StateDict) -> dict[str, Tensor]:
    """Return the weights, those in scaled fp8 multiplied by their scales."""
    weights = {key: weight for key, weight in stored.items() if not key.endswith(IGNORED_SUFFIXES)}
    for key in [key for key in weights if key.endswith(SCALE_SUFFIXES)]:
        name, scale = scaled_weight(key), weights.pop(key).float()
        weights[name] = weights[name].float() * scale.reshape(-1, *[1] * (weights[name].ndim - 1))
    return weights


def shapes_of(weights: StateDict) -> Shapes:
    """Return the shapes of weights by their names."""
    return {name: tuple(weight.shape) for name, weight in weights.items()}


def clip_tokenizer(pad_token: str) -> Any:
    """Build CLIP's tokenizer from the merges that come with Atelier; `pad_token` fills up short texts."""
    vocabulary, merges = _clip_vocabulary()
    return transformers.CLIPTokenizer(
        vocab=vocabulary, merges=merges, pad_token=pad_token, model_max_length=CONTEXT_LENGTH
    )


@cache
def _clip_vocabulary() -> tuple[dict[str, int], list[tuple[str, ...]]]:
    """Return the number of each of CLIP's tokens, and the merges that they come from."""
    letters = _bytes_to_unicode()
    merges = [tuple(line.split()) for line in gzip.decompress(CLIP_MERGES.read_bytes()).decode().splitlines()]
    pieces = [*letters, *(letter + "</w>" for letter in letters), *map("".join, merges), BOS_TOKEN, EOS_TOKEN]
    return {piece: index for index, piece in enumerate(pieces)}, merges


def _bytes_to_unicode() -> list[str]:
    """Return the characters that stand for the 256 bytes, in CLIP's order: printable ones first."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(code) for code in (*printable, *range(256, 512 - len(printable)))]


def vae_dtype(precision: torch.dtype) -> torch.dtype:
    """Return the precision for SDXL's VAE, which overflows in float16 unless it was fine-tuned for it.

    bfloat16 has float32's range; a GPU without instructions for it would only emulate it.
    """
    if precision is not torch.float16:
        return precision
    return torch.bfloat16 if multiplies_bfloat16() else torch.float32


def build_network(network_class: Any, config: dict[str, Any], weights: dict[str, Tensor]) -> Any:
    """Build a network of diffusers from these weights, without initialising random ones first."""
    with torch.device("meta"), SkipInitialization():
        network = network_class.from_config(config)
    network.load_state_dict(weights, assign=True)
    return network


def _convert_clip(weights: StateDict) -> dict[str, Tensor]:
    """Rename the first text encoder's weights; some files have a `text_model` prefix.

    Some also have position ids, or the projection of a whole CLIP, which Stable Diffusion does not use.
    """
    prefix = next(part for part in (CLIP, SDXL_CLIP) if any(name.startswith(part) for name in weights))
    plain = {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}
    named = {name.removeprefix("text_model."): weight for name, weight in plain.items()}
    return {name: weight for name, weight in named.items() if name not in _UNUSED_CLIP_WEIGHTS}


def _text_projection(weights: StateDict) -> Tensor:
    """Return the projection of XL's second text encoder as diffusers has it; OpenCLIP stores its transpose."""
    plain = weights.get(f"{SDXL_OPEN_CLIP}text_projection.weight")
    return weights[f"{SDXL_OPEN_CLIP}text_projection"].T if plain is None else plain


def convert_open_clip(weights: StateDict, prefix: str, skipped_layers: int = 0) -> dict[str, Tensor]:
    """Rename the weights of an OpenCLIP encoder under `prefix`, without the last `skipped_layers`."""
    converted = {
        "embeddings.token_embedding.weight": weights[f"{prefix}token_embedding.weight"],
        "embeddings.position_embedding.weight": weights[f"{prefix}positional_embedding"],
        "final_layer_norm.weight": weights[f"{prefix}ln_final.weight"],
        "final_layer_norm.bias": weights[f"{prefix}ln_final.bias"],
    }
    blocks = f"{prefix}transformer.resblocks."
    for layer in range(_count(weights, blocks + "{}.ln_1.weight") - skipped_layers):
        for kind in ("weight", "bias"):
            theirs, ours = f"{blocks}{layer}.", f"encoder.layers.{layer}."
            for name, old in _OPEN_CLIP_NAMES.items():
                converted[f"{ours}{name}.{kind}"] = weights[f"{theirs}{old}.{kind}"]
            parts = weights[f"{theirs}attn.in_proj_{kind}"].chunk(3)
            for name, part in zip("qkv", parts, strict=True):
                converted[f"{ours}self_attn.{name}_proj.{kind}"] = part.clone()
    return converted


def _count(weights: StateDict, pattern: str) -> int:
    number = 0
    while pattern.format(number) in weights:
        number += 1
    return number


def text_encoder_config(weights: StateDict, activation: str, **more: Any) -> transformers.CLIPTextConfig:
    """Return transformers' configuration of a text encoder, derived from the shapes of its weights."""
    width = weights["embeddings.token_embedding.weight"].shape[1]
    return transformers.CLIPTextConfig(
        vocab_size=len(weights["embeddings.token_embedding.weight"]),
        hidden_size=width,
        intermediate_size=len(weights["encoder.layers.0.mlp.fc1.weight"]),
        num_hidden_layers=_count(weights, "encoder.layers.{}.mlp.fc1.weight"),
        num_attention_heads=max(1, width // HEAD_DIM),
        max_position_embeddings=len(weights["embeddings.position_embedding.weight"]),
        hidden_act=activation,
        **more,
    )


_UNUSED_CLIP_WEIGHTS = ("embeddings.position_ids", "text_projection.weight", "logit_scale")
_OPEN_CLIP_NAMES = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
