"""A tiny SDXL pipeline with random weights for 64×64 images, built in a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from tests.support.tiny_model import CONTEXT, tiny_tokenizer, tiny_vae

WIDTHS = (16, 24)  # of the two text encoders
PROJECTION = 20
TIME_IDS_DIM = 8  # of the embedding of each of the six time ids


def build_tiny_xl(folder: Path, *, force_zeros: bool = True, vae: dict[str, Any] | None = None, **unet: Any) -> Path:
    """Write the pipeline into `folder` and return that; the weights are the same every time.

    With `force_zeros`, the empty text is embedded as zeros; `vae` and `unet` change these networks' configurations.
    """
    before = torch.random.get_rng_state()
    torch.manual_seed(21)
    tokenizer = tiny_tokenizer()
    pipeline = StableDiffusionXLPipeline(
        tokenizer=tokenizer,
        tokenizer_2=tiny_tokenizer(pad_token="!"),
        text_encoder=CLIPTextModel(_text_config(tokenizer, WIDTHS[0])),
        text_encoder_2=CLIPTextModelWithProjection(
            _text_config(tokenizer, WIDTHS[1], hidden_act="gelu", projection_dim=PROJECTION)
        ),
        unet=_unet(unet),
        vae=tiny_vae(**vae or {}),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
        ),
        force_zeros_for_empty_prompt=force_zeros,
        add_watermarker=False,
    )
    torch.random.set_rng_state(before)
    pipeline.save_pretrained(folder)
    (folder / "atelier.json").write_text(json.dumps({"name": "tiny xl", "num_inference_steps": 6, "size_multiple": 8}))
    return folder


def _text_config(tokenizer: CLIPTokenizer, width: int, **more: Any) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        initializer_factor=3.0,  # as initialised, all prompts would look the same to the UNet
        **more,
    )


def _unet(changes: dict[str, Any]) -> UNet2DConditionModel:
    settings: dict[str, Any] = {
        "sample_size": 8,
        "block_out_channels": (8, 16),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "layers_per_block": 1,
        "attention_head_dim": (1, 2),
        "transformer_layers_per_block": (1, 2),
        "use_linear_projection": True,
        "cross_attention_dim": sum(WIDTHS),
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": TIME_IDS_DIM,
        "projection_class_embeddings_input_dim": PROJECTION + 6 * TIME_IDS_DIM,
        "norm_num_groups": 4,
    }
    return UNet2DConditionModel(**settings | changes)
