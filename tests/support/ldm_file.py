"""Small random models in one file, in the LDM layout, and the same in a folder."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from generation.engine.networks.ldm_checkpoint import clip_tokenizer
from tests.support.ldm_keys import ldm_network_weights, open_clip_weights

CHANNELS, WIDTH, VOCABULARY = (64, 128), 64, 49408
PROJECTION = 96


def build_folder_and_checkpoint(folder: Path, *, second: bool = False) -> tuple[Path, Path]:
    """Write a model of the first or `second` generation as a folder and as a file, with the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        pipeline = StableDiffusionPipeline(
            tokenizer=clip_tokenizer("!" if second else "<|endoftext|>"),
            text_encoder=CLIPTextModel(_text_config("gelu" if second else "quick_gelu", initializer_factor=20.0)),
            unet=_unet(second),
            vae=_vae(),
            scheduler=_scheduler(second),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipeline.save_pretrained(folder / "parts")
    save_file(dict(_ldm_weights(pipeline, second)), folder / "whole.safetensors")
    return folder / "parts", folder / "whole.safetensors"


def build_xl_folder_and_checkpoint(folder: Path) -> tuple[Path, Path]:
    """Write a model of SDXL's kind as a folder and as a file, with the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(8)
        second = _text_config("gelu", hidden_size=2 * WIDTH, num_attention_heads=2, projection_dim=PROJECTION)
        pipeline = StableDiffusionXLPipeline(
            tokenizer=clip_tokenizer("<|endoftext|>"),
            tokenizer_2=clip_tokenizer("!"),
            text_encoder=CLIPTextModel(_text_config("quick_gelu")),
            text_encoder_2=CLIPTextModelWithProjection(second),
            unet=_xl_unet(),
            vae=_vae(scaling_factor=0.13025),
            scheduler=_scheduler(second=False),
            add_watermarker=False,
        )
    pipeline.save_pretrained(folder / "parts")
    save_file(dict(_xl_ldm_weights(pipeline)), folder / "whole.safetensors")
    return folder / "parts", folder / "whole.safetensors"


def write_hollow_copy(file: Path, path: Path, metadata: dict[str, str], marks: Collection[str] = ()) -> None:
    """Write a file with the header of another, more metadata and more weights of no size; its values are all zeros.

    Zeros that are not written take neither time nor room.
    """
    with file.open("rb") as source:
        header = json.loads(source.read(int.from_bytes(source.read(8), "little")))
        length = file.stat().st_size - source.tell()
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [length, length]}
    text = json.dumps({"__metadata__": metadata, **header, **dict.fromkeys(marks, empty)}).encode()
    with path.open("wb") as target:
        target.write(len(text).to_bytes(8, "little") + text)
        target.truncate(target.tell() + length)


def _text_config(activation: str, **more: Any) -> CLIPTextConfig:
    settings = {
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 1,
    }
    return CLIPTextConfig(hidden_act=activation, **settings | more)


def _xl_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=128,
        block_out_channels=CHANNELS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=2,
        transformer_layers_per_block=[1, 2],
        cross_attention_dim=3 * WIDTH,
        attention_head_dim=[1, 2],
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=PROJECTION + 6 * 256,
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


def _vae(**more: Any) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(32, 32, 64, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        **more,
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


def _ldm_weights(pipeline: StableDiffusionPipeline, second: bool) -> Iterator[tuple[str, Tensor]]:
    yield from ldm_network_weights(pipeline.unet, pipeline.vae)
    encoder = getattr(pipeline.text_encoder, "text_model", pipeline.text_encoder)
    if second:  # its last layer exists but is not used
        yield from open_clip_weights(
            "cond_stage_model.model.", encoder.state_dict(), torch.eye(WIDTH), layers=(0, 1, 1)
        )
        return
    yield from _clip("cond_stage_model.transformer.", encoder.state_dict())


def _xl_ldm_weights(pipeline: StableDiffusionXLPipeline) -> Iterator[tuple[str, Tensor]]:
    yield from ldm_network_weights(pipeline.unet, pipeline.vae)
    first, second = pipeline.text_encoder, pipeline.text_encoder_2
    yield from _clip("conditioner.embedders.0.transformer.", getattr(first, "text_model", first).state_dict())
    projection = second.text_projection.weight.T.contiguous()
    yield from open_clip_weights(
        "conditioner.embedders.1.model.", second.text_model.state_dict(), projection, layers=(0, 1)
    )


def _clip(place: str, weights: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, weight in weights.items():
        yield f"{place}text_model.{name}", weight.contiguous()
    yield f"{place}text_model.embeddings.position_ids", torch.arange(77)[None]
