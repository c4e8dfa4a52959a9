"""Random ControlNets for a tiny model, in the layouts that people have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel
from safetensors.torch import save_file
from torch import Tensor

from generation.models.adapters import Adapters, scan_adapters
from tests.support.ldm_keys import ldm_unet_name

HINT_CHANNELS = (4, 4, 8, 8)


def random_control(unet: Any, seed: int, *, zero: bool = False) -> ControlNetModel:
    """Return a ControlNet for a UNet; with `zero` its outputs are zeros, as before it has learnt anything."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = ControlNetModel.from_unet(
            unet, conditioning_embedding_out_channels=HINT_CHANNELS, load_weights_from_unet=False
        )
        if not zero:
            ends = network.controlnet_cond_embedding.conv_out, *network.controlnet_down_blocks
            for layer in (*ends, network.controlnet_mid_block):
                torch.nn.init.normal_(layer.weight, std=0.3)
                torch.nn.init.normal_(layer.bias, std=0.1)
    return network.eval()


def write_folder(network: ControlNetModel, folder: Path) -> None:
    """Write a ControlNet as diffusers does."""
    network.save_pretrained(folder)


def write_file(network: ControlNetModel, path: Path, **more: Tensor) -> None:
    """Write a ControlNet as one file with diffusers' names, and other tensors beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: weight.contiguous() for name, weight in network.state_dict().items()} | more, path)


def write_ldm_file(network: ControlNetModel, path: Path, prefix: str = "control_model.", **more: Tensor) -> None:
    """Write a ControlNet as one file in its authors' layout, and other tensors beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({f"{prefix}{name}": weight for name, weight in ldm_weights(network)} | more, path)


def ldm_weights(network: ControlNetModel) -> Iterator[tuple[str, Tensor]]:
    """Yield a ControlNet's weights by their names in its authors' layout."""
    for name, weight in network.state_dict().items():
        yield _ldm_name(name, network.config.layers_per_block + 1), weight.contiguous()


def _ldm_name(name: str, per_level: int) -> str:
    part, *rest = name.split(".")
    match part:
        case "controlnet_cond_embedding":
            place = {"conv_in": 0, "conv_out": 14}.get(rest[0])
            return f"input_hint_block.{2 * (int(rest[1]) + 1) if place is None else place}.{rest[-1]}"
        case "controlnet_down_blocks":
            return f"zero_convs.{rest[0]}.0.{rest[1]}"
        case "controlnet_mid_block":
            return f"middle_block_out.0.{rest[0]}"
    return ldm_unet_name(name, (), per_level)


def scan(folder: Path) -> Adapters:
    """Return the ControlNets in a folder, all of which must be usable."""
    adapters, rejected = scan_adapters(None, None, folder)
    assert not rejected, rejected
    return adapters
