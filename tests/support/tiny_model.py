"""A tiny Stable Diffusion pipeline with random weights for 64×64 images, built in a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

CONTEXT = 77
EDITOR = "StableDiffusionInstructPix2PixPipeline"
WIDTH = 16


def build_tiny_model(
    folder: Path,
    *,
    text_in_time: bool = False,
    channels: tuple[int, ...] = (8, 16),
    side: int = 64,
    is_editor: bool = False,
    **noise: Any,
) -> Path:
    """Write the pipeline into `folder` and return that; the weights are the same every time.

    `text_in_time` adds the pooled text to the time embedding, as the embedded model does; `noise` changes the
    scheduler. With other `channels` in the UNet and another `side` in pixels it need not be tiny. An `is_editor` is an
    InstructPix2Pix.
    """
    before = torch.random.get_rng_state()
    torch.manual_seed(12)
    tokenizer = tiny_tokenizer()
    _text_encoder(tokenizer).save_pretrained(folder / "text_encoder")
    tiny_vae().save_pretrained(folder / "vae")  # before the UNet: all UNets then come with the same VAE
    _unet(text_in_time, channels, side, in_channels=8 if is_editor else 4).save_pretrained(folder / "unet")
    torch.random.set_rng_state(before)
    tokenizer.save_pretrained(folder / "tokenizer")
    _scheduler(noise).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(_INDEX | ({"_class_name": EDITOR} if is_editor else {})))
    (folder / "atelier.json").write_text(json.dumps(_DESCRIPTION | {"native_size": side}))
    return folder


_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.42.1",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
_DESCRIPTION = {
    "name": "tiny",
    "num_inference_steps": 6,
    "guidance_scale": 5.0,
    "examples": ["a red fox under the moon"],
}


def tiny_tokenizer(**more: Any) -> CLIPTokenizer:
    """Build a tokenizer like CLIP's that knows the bytes and a few merges."""
    letters = byte_alphabet()
    pieces = ["<|startoftext|>", "<|endoftext|>", *letters, *(letter + "</w>" for letter in letters)]
    merges = [("t", "h"), ("th", "e</w>"), ("o", "f</w>"), ("i", "n"), ("r", "e")]
    pieces += [left + right for left, right in merges]
    return CLIPTokenizer(
        vocab={piece: index for index, piece in enumerate(pieces)}, merges=merges, model_max_length=CONTEXT, **more
    )


def byte_alphabet() -> list[str]:
    """Return the character that byte-level BPE uses for each of the 256 bytes (GPT-2's table)."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = (chr(256 + place) for place in range(256 - len(printable)))
    return [chr(byte) if byte in printable else next(others) for byte in range(256)]


def _text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_factor=20.0,  # as initialised, all prompts would look the same to the UNet
    )
    return CLIPTextModel(config)


def _unet(text_in_time: bool, channels: tuple[int, ...], side: int, in_channels: int) -> UNet2DConditionModel:
    extra = {"addition_embed_type": "text", "addition_embed_type_num_heads": 2} if text_in_time else {}
    lower = len(channels) - 1
    return UNet2DConditionModel(
        sample_size=side // 8,
        in_channels=in_channels,
        block_out_channels=channels,
        down_block_types=("CrossAttnDownBlock2D",) * lower + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * lower,
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=2,  # the number of heads, in spite of its name
        norm_num_groups=4,
        **extra,
    )


def tiny_vae(**more: Any) -> AutoencoderKL:
    """Build a VAE with eight pixels a side to a latent."""
    return AutoencoderKL(
        block_out_channels=(4, 4, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=4,
        sample_size=64,
        **more,
    )


def _scheduler(changes: dict[str, Any]) -> DDIMScheduler:
    settings = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
    }
    return DDIMScheduler(**settings | changes)
