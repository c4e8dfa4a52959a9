"""Random LoRAs, written in the layouts in which they come, and merged into a model's weights for comparison."""

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
# Matrices, 1×1 convolutions, and such as look around, stride and come with a LoCon only.
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
    """What is learnt of a layer: `down` (rank × in × kernel), `up` (out × rank × 1 × 1), and `alpha`."""

    down: Tensor
    up: Tensor
    alpha: float


Layers = dict[tuple[str, str], LayerWeights]


def random_layers(
    pipeline: Pipeline, seed: int, *, rank: int = 2, size: float = 0.5, **paths: tuple[str, ...]
) -> Layers:
    """Draw what is learnt for the layers at `paths` of each network."""
    generator = torch.Generator().manual_seed(seed)
    layers: Layers = {}
    for network, of_network in paths.items():
        for path in of_network:
            layer = layer_at(getattr(pipeline, network), path)
            out, *taken = layer.weight.shape
            down = size * torch.randn(rank, *taken, generator=generator)
            up = size * torch.randn(out, rank, *([1, 1] if len(taken) > 1 else []), generator=generator)
            layers[network, path] = LayerWeights(down, up, rank / 2)
    return layers


def layer_at(network: Any, path: str) -> Any:
    """Give a layer; a text encoder's may be within its `text_model`."""
    return getattr(network, "text_model", network).get_submodule(path)


def write_kohya(path: Path, layers: Layers, **notes: str) -> Path:
    """Write a file as kohya's scripts do."""
    tensors: dict[str, Tensor] = {}
    for (network, layer), learnt in layers.items():
        inner = layer if network == "unet" else f"text_model.{layer}"
        name = f"{KOHYA[network]}_{inner.replace('.', '_')}"
        tensors[f"{name}.lora_down.weight"], tensors[f"{name}.lora_up.weight"] = learnt.down, learnt.up
        tensors[f"{name}.alpha"] = torch.tensor(learnt.alpha)
    save_file(tensors, path, notes)
    return path


def write_peft(path: Path, layers: Layers, **notes: str) -> Path:
    """Write a file as diffusers does now: without alphas, which are in the matrices already."""
    tensors: dict[str, Tensor] = {}
    for (network, layer), learnt in layers.items():
        name = f"{network}.{layer if network == 'unet' else f'text_model.{layer}'}"
        tensors[f"{name}.lora_A.weight"] = learnt.down
        tensors[f"{name}.lora_B.weight"] = learnt.up * (learnt.alpha / len(learnt.down))
    save_file(tensors, path, notes)
    return path


def merge_loras(pipeline: Pipeline, *loras: tuple[Layers, float]) -> Pipeline:
    """Give a pipeline of its own, with LoRAs in its weights."""
    names = ("unet", "text_encoder", "text_encoder_2")
    pipeline = replace(pipeline, **{name: copy.deepcopy(getattr(pipeline, name)) for name in names})
    with torch.no_grad():
        for layers, weight in loras:
            for (network, path), learnt in layers.items():
                layer = layer_at(getattr(pipeline, network), path)
                change = (learnt.up.flatten(1) @ learnt.down.flatten(1)).reshape(layer.weight.shape)
                layer.weight += weight * learnt.alpha / len(learnt.down) * change
                assert isinstance(layer, Conv2d) == (layer.weight.ndim == 4)
    return pipeline
