"""Small random models in one file, with the keys of the first Stable Diffusion releases, and the same in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from generation.engine.original_layout import clip_tokenizer

CHANNELS, WIDTH, VOCABULARY = (64, 128), 64, 49408
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


def build_pair(folder: Path, *, second: bool = False) -> tuple[Path, Path]:
    """Write a model of the first or `second` generation as a folder and as a file, with the same weights."""
    before = torch.random.get_rng_state()
    torch.manual_seed(7)
    pipeline = StableDiffusionPipeline(
        tokenizer=clip_tokenizer("!" if second else "<|endoftext|>"),
        text_encoder=_text_encoder(second),
        unet=_unet(second),
        vae=_vae(),
        scheduler=_scheduler(second),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    torch.random.set_rng_state(before)
    pipeline.save_pretrained(folder / "parts")
    save_file(dict(_original(pipeline, second)), folder / "whole.safetensors")
    return folder / "parts", folder / "whole.safetensors"


def _text_encoder(second: bool) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=1,
            hidden_act="gelu" if second else "quick_gelu",
            initializer_factor=20.0,
        )
    )


def _unet(second: bool) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=96 if second else 64,
        block_out_channels=CHANNELS,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=2,
        cross_attention_dim=WIDTH,
        attention_head_dim=[1, 2] if second else 8,
        use_linear_projection=second,
    )


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(32, 32, 64, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
    )


def _scheduler(second: bool) -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction" if second else "epsilon",
    )


def _original(pipeline: StableDiffusionPipeline, second: bool) -> Iterator[tuple[str, Tensor]]:
    yield from original_networks(pipeline.unet, pipeline.vae)
    encoder = getattr(pipeline.text_encoder, "text_model", pipeline.text_encoder)
    if second:
        yield from _open_clip(encoder.state_dict())
        return
    for name, weight in encoder.state_dict().items():
        yield f"cond_stage_model.transformer.text_model.{name}", weight.contiguous()
    yield "cond_stage_model.transformer.text_model.embeddings.position_ids", torch.arange(77)[None]


def original_networks(unet: UNet2DConditionModel, vae: AutoencoderKL) -> Iterator[tuple[str, Tensor]]:
    """Give the weights by their original keys, for levels of two blocks in the UNet and four levels in the VAE."""
    for name, weight in unet.state_dict().items():
        yield f"model.diffusion_model.{_unet_name(name)}", weight.contiguous()
    for name, weight in vae.state_dict().items():
        key = f"first_stage_model.{_vae_name(name)}"
        is_attention = ".attn_1." in key and weight.ndim == 2
        yield key, (weight[:, :, None, None] if is_attention else weight).contiguous()


def _unet_name(name: str) -> str:
    layer, _, kind = name.rpartition(".")
    if layer in _ENDS:
        return f"{_ENDS[layer]}.{kind}"
    where, *rest = name.split(".")
    if where == "mid_block":
        part, number, *inner = rest
        return f"middle_block.{2 * int(number) if part == 'resnets' else 1}.{_inner(part, inner)}"
    level, part, number, *inner = rest
    if where == "down_blocks":
        block = 1 + 3 * int(level) + (2 if part == "downsamplers" else int(number))
        place = f"input_blocks.{block}.{1 if part == 'attentions' else 0}"
        return f"{place}.op.{inner[-1]}" if part == "downsamplers" else f"{place}.{_inner(part, inner)}"
    if part == "upsamplers":  # it stands after the attention, where there is one
        last = 3 * int(level) + 2
        return f"output_blocks.{last}.{1 if level == '0' else 2}.conv.{inner[-1]}"
    return f"output_blocks.{3 * int(level) + int(number)}.{1 if part == 'attentions' else 0}.{_inner(part, inner)}"


def _inner(part: str, rest: list[str]) -> str:
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
            return f"{half}.mid.block_{int(number) + 1}.{_shortcut(inner)}"
        return f"{half}.mid.attn_1.{_ATTENTION['.'.join(inner[:-1])]}.{inner[-1]}"
    if rest[0] not in ("down_blocks", "up_blocks"):
        return name
    where, level, part, number, *inner = rest
    place = f"{half}.down.{level}" if where == "down_blocks" else f"{half}.up.{3 - int(level)}"
    if part == "resnets":
        return f"{place}.block.{number}.{_shortcut(inner)}"
    return f"{place}.{part.removesuffix('rs')}.conv.{inner[-1]}".replace("samplee", "sample")


def _shortcut(inner: list[str]) -> str:
    return ".".join(inner).replace("conv_shortcut", "nin_shortcut")


def _open_clip(weights: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    place = "cond_stage_model.model."
    yield f"{place}token_embedding.weight", weights["embeddings.token_embedding.weight"]
    yield f"{place}positional_embedding", weights["embeddings.position_embedding.weight"]
    yield f"{place}text_projection", torch.eye(WIDTH)
    yield f"{place}logit_scale", torch.ones(())
    for kind in ("weight", "bias"):
        yield f"{place}ln_final.{kind}", weights[f"final_layer_norm.{kind}"]
        for layer in range(3):  # the last is there and not used
            ours = f"encoder.layers.{min(layer, 1)}."
            theirs = f"{place}transformer.resblocks.{layer}."
            for name, old in _OPEN_CLIP.items():
                yield f"{theirs}{old}.{kind}", weights[f"{ours}{name}.{kind}"].clone()
            parts = [weights[f"{ours}self_attn.{name}_proj.{kind}"] for name in "qkv"]
            yield f"{theirs}attn.in_proj_{kind}", torch.cat(parts)
