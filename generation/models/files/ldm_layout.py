"""Derive the configurations of networks in the original (LDM) layout from their weights' shapes, without torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from generation.models.catalogue import Family

UNET, VAE = "model.diffusion_model.", "first_stage_model."
CLIP, OPEN_CLIP = "cond_stage_model.transformer.", "cond_stage_model.model."
SDXL_CLIP, SDXL_OPEN_CLIP = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."
REFINER_OPEN_CLIP = "conditioner.embedders.0.model."

SD_CHANNELS = 4  # of the latents
EDITOR_CHANNELS = 2 * SD_CHANNELS  # of the input of UNets that change pictures: the noisy latents, and the picture's
HEAD_DIM = 64  # channels of an attention head in all text encoders, and in the UNets of 2.x and XL
SD1_ATTENTION_HEADS = 8
XL_TIME_EMBED_DIM = 256  # of the embedding of each of the six time ids
XL_SCALING_FACTOR = 0.13025  # of SDXL's latents
SD2_LAYERS, SD2_USED_LAYERS = 24, 23  # of the text encoder of 2.x

Shapes = Mapping[str, tuple[int, ...]]


class UnsupportedLayoutError(ValueError):
    """A UNet that diffusers' configuration cannot express."""


def unet_config(shapes: Shapes, family: Family, native_size: int) -> dict[str, Any]:
    """Return diffusers' configuration of a UNet; raise UnsupportedLayoutError, or KeyError for a missing weight."""
    levels = list(_levels(shapes))
    channels = [level[0] for level in levels]
    has_attention = [f"{UNET}input_blocks.{level[1]}.1.norm.weight" in shapes for level in levels]
    attention = next(key for key in shapes if key.startswith(UNET) and key.endswith("attn2.to_k.weight"))
    block = attention.removeprefix(UNET).partition(".transformer_blocks.")[0]
    has_fixed_head_dim = family is not Family.SD1
    return {
        "sample_size": native_size // 2 ** (len(_vae_channels(shapes)) - 1),
        "in_channels": shapes[f"{UNET}input_blocks.0.0.weight"][1],
        "block_out_channels": channels,
        "layers_per_block": _layers_per_block(shapes, levels),
        "down_block_types": ["CrossAttnDownBlock2D" if each else "DownBlock2D" for each in has_attention],
        "up_block_types": ["CrossAttnUpBlock2D" if each else "UpBlock2D" for each in reversed(has_attention)],
        "cross_attention_dim": shapes[attention][1],
        "attention_head_dim": [width // HEAD_DIM for width in channels] if has_fixed_head_dim else SD1_ATTENTION_HEADS,
        "use_linear_projection": len(shapes[f"{UNET}{block}.proj_in.weight"]) == 2,
        **_depths(shapes, levels, family),
        **(_xl_unet_config(shapes) if family is Family.SDXL else {}),
    }


def _layers_per_block(shapes: Shapes, levels: Sequence[tuple[int, int, int]]) -> int:
    """Return the number of blocks of each level on the way down; there is one more on the way up."""
    counts = {level[2] for level in levels}
    outputs = _count(shapes, f"{UNET}output_blocks.{{}}.0.in_layers.2.weight")
    if len(counts) != 1 or outputs != len(levels) * (min(counts) + 1):
        raise UnsupportedLayoutError("its levels have different numbers of blocks")
    return counts.pop()


def _depths(shapes: Shapes, levels: Sequence[tuple[int, int, int]], family: Family) -> dict[str, Any]:
    """Return how many transformer blocks each attention has, as far as this is not diffusers' default.

    The way up may differ from the way down (SSD-1B), and the middle block may be missing (KOALA, small-sd).
    """
    down = [[_depth(shapes, f"input_blocks.{first + block}") for block in range(count)] for _, first, count in levels]
    per_level = levels[0][2] + 1
    up = [
        [_depth(shapes, f"output_blocks.{level * per_level + block}") for block in range(per_level)]
        for level in range(len(levels))
    ]
    if any(0 in depths and any(depths) for depths in (*down, *up)):
        raise UnsupportedLayoutError("some blocks of a level have attention, and others have none")
    if [any(depths) for depths in down] != [any(depths) for depths in reversed(up)]:
        raise UnsupportedLayoutError("its levels have attention in one direction only")
    config = _middle_config(shapes, down[-1])
    if _depth(shapes, "middle_block.1") > 1 and not any(down[-1]):
        down[-1] = [_depth(shapes, "middle_block.1")]
    if family is Family.SDXL or any(depth > 1 for depths in down for depth in depths):
        config["transformer_layers_per_block"] = [_simplified(depths) for depths in down]
    if [set(depths) for depths in up] != [set(depths) for depths in reversed(down)] or any(
        len(set(depths)) > 1 for depths in down
    ):
        config["reverse_transformer_layers_per_block"] = [
            [max(1, depth) for depth in depths] if any(depths) else 1 for depths in up
        ]
    return config


def _simplified(depths: list[int]) -> int | list[int]:
    return max(1, depths[0]) if len(set(depths)) == 1 else depths


def _middle_config(shapes: Shapes, last: Sequence[int]) -> dict[str, Any]:
    """Return the kind of the middle block, which some smaller models lack, as far as it is not diffusers' default."""
    if f"{UNET}middle_block.0.in_layers.2.weight" not in shapes:
        return {"mid_block_type": None}
    if not (middle := _depth(shapes, "middle_block.1")):
        if any(f"{UNET}middle_block.{block}.in_layers.2.weight" in shapes for block in (1, 2)):
            raise UnsupportedLayoutError("its middle block has no attention")
        return {"mid_block_type": "UNetMidBlock2D"}
    if any(last) and set(last) != {middle}:
        raise UnsupportedLayoutError(f"its middle block has {middle} transformer blocks")
    return {}


def _depth(shapes: Shapes, block: str) -> int:
    where = block if block.startswith("middle") else f"{block}.1"
    return _count(shapes, f"{UNET}{where}.transformer_blocks.{{}}.norm1.weight")


def _xl_unet_config(shapes: Shapes) -> dict[str, Any]:
    return {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": XL_TIME_EMBED_DIM,
        "projection_class_embeddings_input_dim": shapes[f"{UNET}label_emb.0.0.weight"][1],
    }


def _levels(shapes: Shapes) -> Iterator[tuple[int, int, int]]:
    """Yield the channels, the first block and the number of blocks of each down level."""
    first = block = 1
    while f"{UNET}input_blocks.{block}.0.in_layers.2.weight" in shapes:
        width, block = shapes[f"{UNET}input_blocks.{block}.0.out_layers.3.weight"][0], block + 1
        if f"{UNET}input_blocks.{block}.0.in_layers.2.weight" not in shapes:
            yield width, first, block - first
            first = block = block + 1


def vae_config(shapes: Shapes, family: Family, native_size: int) -> dict[str, Any]:
    """Return diffusers' configuration of a VAE."""
    if not (channels := _vae_channels(shapes)):  # a decoder alone
        raise KeyError(f"{VAE}encoder.down.0.block.0.conv1.weight")
    return {
        "sample_size": native_size,
        "block_out_channels": channels,
        "layers_per_block": _count(shapes, f"{VAE}encoder.down.0.block.{{}}.conv1.weight"),
        "down_block_types": ["DownEncoderBlock2D"] * len(channels),
        "up_block_types": ["UpDecoderBlock2D"] * len(channels),
        "latent_channels": shapes[f"{VAE}post_quant_conv.weight"][0],
    } | ({"scaling_factor": XL_SCALING_FACTOR} if family is Family.SDXL else {})


def _vae_channels(shapes: Shapes) -> list[int]:
    levels = _count(shapes, f"{VAE}encoder.down.{{}}.block.0.conv1.weight")
    return [shapes[f"{VAE}encoder.down.{level}.block.0.conv1.weight"][0] for level in range(levels)]


def unused_text_layers(shapes: Shapes) -> int:
    """Return how many of the last layers of 2.x's text encoder are not used: one, where it is in the file.

    Files that were saved from diffusers lack it, together with OpenCLIP's projection and scale.
    """
    layers = _count(shapes, f"{OPEN_CLIP}transformer.resblocks.{{}}.ln_1.weight")
    if layers in (SD2_LAYERS, SD2_USED_LAYERS):
        return layers - SD2_USED_LAYERS
    return int(any(f"{OPEN_CLIP}{name}" in shapes for name in ("text_projection", "logit_scale")))


def _count(shapes: Shapes, pattern: str) -> int:
    number = 0
    while pattern.format(number) in shapes:
        number += 1
    return number
