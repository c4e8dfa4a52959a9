"""The keys of the LDM layout, in which most models in one file come, for the weights of diffusers' networks."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}


def ldm_network_weights(
    unet: UNet2DConditionModel, vae: AutoencoderKL, per_level: int = 3
) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights by their LDM keys, for four levels in the VAE.

    `per_level` is one more than the blocks of a level in the UNet.
    """
    with_attention = {name.split(".")[1] for name in unet.state_dict() if re.match(r"up_blocks\.\d\.attentions", name)}
    for name, weight in unet.state_dict().items():
        yield f"model.diffusion_model.{ldm_unet_name(name, with_attention, per_level)}", weight.contiguous()
    for name, weight in vae.state_dict().items():
        key = f"first_stage_model.{_vae_name(name)}"
        is_attention = ".attn_1." in key and weight.ndim == 2
        yield key, (weight[:, :, None, None] if is_attention else weight).contiguous()


def ldm_unet_name(name: str, with_attention: Collection[str], per_level: int) -> str:
    """Return the LDM key of a UNet's weight; `with_attention` are the numbers of its upper levels that attend."""
    layer, _, kind = name.rpartition(".")
    if layer in _ENDS:
        return f"{_ENDS[layer]}.{kind}"
    where, *rest = name.split(".")
    if where == "mid_block":
        part, number, *inner = rest
        return f"middle_block.{2 * int(number) if part == 'resnets' else 1}.{_layer_name(part, inner)}"
    level, part, number, *inner = rest
    if where == "down_blocks":
        block = 1 + per_level * int(level) + (per_level - 1 if part == "downsamplers" else int(number))
        place = f"input_blocks.{block}.{1 if part == 'attentions' else 0}"
        return f"{place}.op.{inner[-1]}" if part == "downsamplers" else f"{place}.{_layer_name(part, inner)}"
    if part == "upsamplers":  # it comes after the attention, where there is one
        last = per_level * int(level) + per_level - 1
        return f"output_blocks.{last}.{2 if level in with_attention else 1}.conv.{inner[-1]}"
    block = per_level * int(level) + int(number)
    return f"output_blocks.{block}.{1 if part == 'attentions' else 0}.{_layer_name(part, inner)}"


def _layer_name(part: str, rest: list[str]) -> str:
    return f"{_RESNET[rest[0]]}.{rest[1]}" if part == "resnets" else ".".join(rest)


def _vae_name(name: str) -> str:
    half, *rest = name.split(".")
    if half.endswith("quant_conv"):
        return name
    if rest[0] == "conv_norm_out":
        return f"{half}.norm_out.{rest[1]}"
    if rest[0] == "mid_block":
        _, part, number, *inner = rest
        if part == "resnets":
            return f"{half}.mid.block_{int(number) + 1}.{_rename_shortcut(inner)}"
        return f"{half}.mid.attn_1.{_ATTENTION['.'.join(inner[:-1])]}.{inner[-1]}"
    if rest[0] not in ("down_blocks", "up_blocks"):
        return name
    where, level, part, number, *inner = rest
    place = f"{half}.down.{level}" if where == "down_blocks" else f"{half}.up.{3 - int(level)}"
    if part == "resnets":
        return f"{place}.block.{number}.{_rename_shortcut(inner)}"
    return f"{place}.{part.removesuffix('rs')}.conv.{inner[-1]}".replace("samplee", "sample")


def _rename_shortcut(inner: list[str]) -> str:
    return ".".join(inner).replace("conv_shortcut", "nin_shortcut")


def open_clip_weights(
    place: str, weights: dict[str, Tensor], projection: Tensor, layers: Sequence[int]
) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights of a text encoder by OpenCLIP's keys, with the given `layers` one after the other."""
    yield f"{place}token_embedding.weight", weights["embeddings.token_embedding.weight"]
    yield f"{place}positional_embedding", weights["embeddings.position_embedding.weight"]
    yield f"{place}text_projection", projection
    yield f"{place}logit_scale", torch.ones(())
    for kind in ("weight", "bias"):
        yield f"{place}ln_final.{kind}", weights[f"final_layer_norm.{kind}"]
        for layer, mine in enumerate(layers):
            ours = f"encoder.layers.{mine}."
            theirs = f"{place}transformer.resblocks.{layer}."
            for name, old in _OPEN_CLIP.items():
                yield f"{theirs}{old}.{kind}", weights[f"{ours}{name}.{kind}"].clone()
            parts = [weights[f"{ours}self_attn.{name}_proj.{kind}"] for name in "qkv"]
            yield f"{theirs}attn.in_proj_{kind}", torch.cat(parts)
