"""Pipelines of the families that are drawn whole, with random weights, in the layout of the real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers.pipelines.deprecated.unclip.text_proj import UnCLIPTextProjModel
from diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model import PaellaVQModel
from diffusers.pipelines.deprecated.wuerstchen.modeling_wuerstchen_diffnext import WuerstchenDiffNeXt
from diffusers.pipelines.deprecated.wuerstchen.modeling_wuerstchen_prior import WuerstchenPrior

from generation.catalogue import Family
from tests.generation.tiny_model import tiny_tokenizer

Parts = dict[str, Any]
WIDTH = 32


def build_whole(folder: Path, family: Family) -> Path:
    """Write a tiny model of `family` into `folder`, its other half into a folder within, and give `folder` back."""
    before = torch.random.get_rng_state()
    torch.manual_seed(21)
    BUILDERS[family](folder)
    torch.random.set_rng_state(before)
    return folder


def _save(folder: Path, kind: str, parts: Parts, facts: dict[str, Any], **settings: Any) -> None:
    index: dict[str, Any] = {"_class_name": kind, "_diffusers_version": "0.42.1", **settings}
    for name, part in parts.items():
        if part is None:
            index[name] = [None, None]
        else:
            part.save_pretrained(folder / name)
            index[name] = [type(part).__module__.partition(".")[0], type(part).__name__]
    for name, (library, part_class) in LIBRARIES.items():
        if name in index:
            index[name] = [library, part_class]
    folder.mkdir(exist_ok=True)
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "atelier.json").write_text(json.dumps({"native_size": 64, "num_inference_steps": 4} | facts))


LIBRARIES: dict[str, tuple[str, str]] = {}  # parts that published folders name by a module of diffusers'


def _clip(**changes: Any) -> transformers.CLIPTextModelWithProjection:
    return transformers.CLIPTextModelWithProjection(_clip_config(**changes))


def _clip_config(**changes: Any) -> transformers.CLIPTextConfig:
    tokenizer = tiny_tokenizer()
    settings: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "intermediate_size": WIDTH,
        "projection_dim": WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 77,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "initializer_factor": 20.0,
    }
    return transformers.CLIPTextConfig(**settings | changes)


def _t5() -> Parts:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0)]
    pieces += [(letter, -2.0) for letter in "abcdefghijklmnopqrstuvwxyz"]
    tokenizer = transformers.T5TokenizerFast(vocab=pieces, extra_ids=0, model_max_length=77)
    config = transformers.T5Config(
        vocab_size=len(tokenizer), d_model=WIDTH, d_kv=8, d_ff=WIDTH, num_layers=1, num_heads=2, initializer_factor=5.0
    )
    return {"tokenizer": tokenizer, "text_encoder": transformers.T5EncoderModel(config)}


def _vae(latent_channels: int) -> diffusers.AutoencoderKL:
    return diffusers.AutoencoderKL(
        block_out_channels=(4, 4, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=latent_channels,
        scaling_factor=1.5035,
        shift_factor=0.0609,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )


def _sd3(folder: Path) -> None:
    t5 = _t5()
    parts = {
        "feature_extractor": None,
        "image_encoder": None,
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        "text_encoder": _clip(hidden_size=16),
        "text_encoder_2": _clip(hidden_size=16),
        "text_encoder_3": t5["text_encoder"],
        "tokenizer": tiny_tokenizer(),
        "tokenizer_2": tiny_tokenizer(),
        "tokenizer_3": t5["tokenizer"],
        "transformer": diffusers.SD3Transformer2DModel(
            sample_size=8,
            patch_size=2,
            in_channels=16,
            out_channels=16,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=4,
            caption_projection_dim=WIDTH,
            joint_attention_dim=WIDTH,
            pooled_projection_dim=2 * WIDTH,
            pos_embed_max_size=16,
        ),
        "vae": _vae(16),
    }
    _save(folder, "StableDiffusion3Pipeline", parts, {"guidance_scale": 5.0})


def _flux(folder: Path, *, guided: bool = True) -> None:
    t5 = _t5()
    parts = {
        "feature_extractor": None,
        "image_encoder": None,
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=guided),
        "text_encoder": transformers.CLIPTextModel(_clip_config()),
        "text_encoder_2": t5["text_encoder"],
        "tokenizer": tiny_tokenizer(),
        "tokenizer_2": t5["tokenizer"],
        "transformer": diffusers.FluxTransformer2DModel(
            patch_size=1,
            in_channels=64,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=WIDTH,
            pooled_projection_dim=WIDTH,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=guided,
        ),
        "vae": _vae(16),
    }
    _save(folder, "FluxPipeline", parts, {})


def _flux_schnell(folder: Path) -> None:
    _flux(folder, guided=False)


BUILDERS: dict[Family, Callable[[Path], None]] = {
    Family.SD3: _sd3,
    Family.FLUX: _flux,
    Family.FLUX_SCHNELL: _flux_schnell,
}
