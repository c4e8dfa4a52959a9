"""Random LoRAs, written in the usual layouts, and merged into a model's weights for comparison."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import Conv2d

from generation.engine.networks.pipeline_loader import Pipeline

KOHYA = {"unet": "lora_unet", "text_encoder": "lora_te", "text_encoder_2": "lora_te2"}
ATTENTION = "down_blocks.0.attentions.0.transformer_blocks.0"
# Matrices and 1×1 convolutions, then larger convolutions, also with a stride, which only a LoCon changes.
LINEAR = (
    f"{ATTENTION}.attn2.to_k",
    f"{ATTENTION}.attn1.to_out.0",
    f"{ATTENTION}.ff.net.0.proj",
    "mid_block.attentions.0.proj_in",
)
CONVOLUTIONS = ("down_blocks.0.resnets.0.conv1", "down_blocks.0.downsamplers.0.conv", "up_blocks.0.resnets.1.conv2")
TEXT_LAYERS = ("encoder.layers.0.self_attn.q_proj", "encoder.layers.1.mlp.fc1")


@dataclass(frozen=True)
class LayerWeights:
    """A layer's LoRA weights: `down` (rank × in × kernel), `up` (out × rank × 1 × 1), and `alpha`."""

    down: Tensor
    up: Tensor
    alpha: float


Layers = dict[tuple[str, str], LayerWeights]


def random_layers(
    pipeline: Pipeline, seed: int, *, rank: int = 2, size: float = 0.5, **paths: tuple[str, ...]
) -> Layers:
    """Return random LoRA weights for the layers at `paths` of each network."""
    generator = torch.Generator().manual_seed(seed)
    layers: Layers = {}
    for network, network_paths in paths.items():
        for path in network_paths:
            layer = layer_at(getattr(pipeline, network), path)
            out, *input_shape = layer.weight.shape
            down = size * torch.randn(rank, *input_shape, generator=generator)
            up = size * torch.randn(out, rank, *([1, 1] if len(input_shape) > 1 else []), generator=generator)
            layers[network, path] = LayerWeights(down, up, rank / 2)
    return layers


def layer_at(network: Any, path: str) -> Any:
    """Return a layer; a text encoder's may be within its `text_model`."""
    return getattr(network, "text_model", network).get_submodule(path)


def write_kohya(path: Path, layers: Layers, **metadata: str) -> Path:
    """Write a file in the layout of kohya's scripts."""
    tensors: dict[str, Tensor] = {}
    for (network, layer), lora in layers.items():
        inner = layer if network == "unet" else f"text_model.{layer}"
        name = f"{KOHYA[network]}_{inner.replace('.', '_')}"
        tensors[f"{name}.lora_down.weight"], tensors[f"{name}.lora_up.weight"] = lora.down, lora.up
        tensors[f"{name}.alpha"] = torch.tensor(lora.alpha)
    save_file(tensors, path, metadata)
    return path


def write_peft(path: Path, layers: Layers, **metadata: str) -> Path:
    """Write a file in diffusers' current layout: without alphas, which are multiplied into the matrices."""
    tensors: dict[str, Tensor] = {}
    for (network, layer), lora in layers.items():
        name = f"{network}.{layer if network == 'unet' else f'text_model.{layer}'}"
        tensors[f"{name}.lora_A.weight"] = lora.down
        tensors[f"{name}.lora_B.weight"] = lora.up * (lora.alpha / len(lora.down))
    save_file(tensors, path, metadata)
    return path


def merge_loras(pipeline: Pipeline, *loras: tuple[Layers, float]) -> Pipeline:
    """Return a copy of a pipeline with LoRAs merged into its weights."""
    names = ("unet", "text_encoder", "text_encoder_2")
    pipeline = replace(pipeline, **{name: copy.deepcopy(getattr(pipeline, name)) for name in names})
    with torch.no_grad():
        for layers, weight in loras:
            for (network, path), lora in layers.items():
                layer = layer_at(getattr(pipeline, network), path)
                change = (lora.up.flatten(1) @ lora.down.flatten(1)).reshape(layer.weight.shape)
                layer.weight += weight * lora.alpha / len(lora.down) * change
                assert isinstance(layer, Conv2d) == (layer.weight.ndim == 4)
    return pipeline
