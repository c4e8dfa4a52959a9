"""Tiny models of the pipeline families with random weights, in the layout of the real ones."""

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

from generation.models.catalogue import Family
from tests.support.tiny_model import tiny_tokenizer

Parts = dict[str, Any]
WIDTH = 32


def build_tiny_pipeline(folder: Path, family: Family) -> Path:
    """Write a tiny model of `family` into `folder`, its partner into a subfolder, and return `folder`."""
    before = torch.random.get_rng_state()
    torch.manual_seed(21)
    BUILDERS[family](folder)
    torch.random.set_rng_state(before)
    return folder


def _save(folder: Path, kind: str, parts: Parts, description: dict[str, Any], **settings: Any) -> None:
    index: dict[str, Any] = {"_class_name": kind, "_diffusers_version": "0.42.1", **settings}
    for name, part in parts.items():
        if part is None:
            index[name] = [None, None]
        else:
            part.save_pretrained(folder / name)
            index[name] = [_library(part), type(part).__name__]
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "atelier.json").write_text(json.dumps({"native_size": 64, "num_inference_steps": 4} | description))


def _library(part: Any) -> str:
    """Return the library's name as in published folders: a part of a single pipeline is named after that pipeline."""
    *_, package, _ = type(part).__module__.split(".")
    return package if package in ("unclip", "wuerstchen") else type(part).__module__.partition(".")[0]


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


def _flux(folder: Path, *, guided: bool = True, kind: str = "FluxPipeline") -> None:
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
    _save(folder, kind, parts, {})


def _flux_kontext(folder: Path) -> None:
    _flux(folder, kind="FluxKontextPipeline")


def _flux_schnell(folder: Path) -> None:
    _flux(folder, guided=False)


def _prior_scheduler() -> diffusers.UnCLIPScheduler:
    return diffusers.UnCLIPScheduler(
        variance_type="fixed_small_log", prediction_type="sample", clip_sample=True, clip_sample_range=10.0
    )


def _prior() -> diffusers.PriorTransformer:
    prior = diffusers.PriorTransformer(num_attention_heads=2, attention_head_dim=8, embedding_dim=WIDTH, num_layers=1)
    prior.clip_std = torch.nn.Parameter(torch.ones(prior.clip_std.shape))
    return prior


_CROSS_ATTENTION = {
    "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": ("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "attention_head_dim": 4,
    "norm_num_groups": 4,
    "resnet_time_scale_shift": "scale_shift",
}


def _kandinsky(folder: Path) -> None:
    parts = {
        "movq": diffusers.VQModel(
            block_out_channels=(32, 32, 32, 32),
            down_block_types=("DownEncoderBlock2D",) * 3 + ("AttnDownEncoderBlock2D",),
            up_block_types=("AttnUpDecoderBlock2D",) + ("UpDecoderBlock2D",) * 3,
            latent_channels=4,
            norm_num_groups=4,
            norm_type="spatial",
            num_vq_embeddings=12,
            vq_embed_dim=4,
        ),
        "scheduler": diffusers.DDPMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="linear", clip_sample=False, variance_type="learned_range"
        ),
        "unet": diffusers.UNet2DConditionModel(
            in_channels=4,
            out_channels=8,
            addition_embed_type="image",
            encoder_hid_dim=WIDTH,
            encoder_hid_dim_type="image_proj",
            cross_attention_dim=16,
            **_CROSS_ATTENTION,
        ),
    }
    _save(folder, "KandinskyV22Pipeline", parts, {"size_multiple": 64, "partner": "first"})
    vision = transformers.CLIPVisionConfig(
        hidden_size=WIDTH,
        image_size=28,
        projection_dim=WIDTH,
        intermediate_size=WIDTH,
        num_attention_heads=2,
        num_hidden_layers=1,
        patch_size=14,
    )
    first = {
        "image_encoder": transformers.CLIPVisionModelWithProjection(vision),
        "image_processor": None,
        "prior": _prior(),
        "scheduler": _prior_scheduler(),
        "text_encoder": _clip(),
        "tokenizer": tiny_tokenizer(),
    }
    _save(folder / "first", "KandinskyV22PriorPipeline", first, {})


def _unclip(folder: Path) -> None:
    upscaling = {
        "sample_size": 32,
        "in_channels": 6,
        "out_channels": 3,
        "layers_per_block": 1,
        "block_out_channels": (8, 16),
        "norm_num_groups": 4,
        "down_block_types": ("ResnetDownsampleBlock2D",) * 2,
        "up_block_types": ("ResnetUpsampleBlock2D",) * 2,
    }
    parts = {
        "decoder": diffusers.UNet2DConditionModel(
            sample_size=8,
            in_channels=3,
            out_channels=6,
            cross_attention_dim=16,
            class_embed_type="identity",
            **_CROSS_ATTENTION,
        ),
        "decoder_scheduler": diffusers.UnCLIPScheduler(variance_type="learned_range", prediction_type="epsilon"),
        "prior": _prior(),
        "prior_scheduler": _prior_scheduler(),
        "super_res_first": diffusers.UNet2DModel(**upscaling),
        "super_res_last": diffusers.UNet2DModel(**upscaling),
        "super_res_scheduler": diffusers.UnCLIPScheduler(variance_type="fixed_small_log", prediction_type="epsilon"),
        "text_encoder": _clip(),
        "text_proj": UnCLIPTextProjModel(clip_embeddings_dim=WIDTH, time_embed_dim=32, cross_attention_dim=16),
        "tokenizer": tiny_tokenizer(),
    }
    _save(folder, "UnCLIPPipeline", parts, {"native_size": 32, "size_multiple": 32})


def _paella_vq() -> PaellaVQModel:
    return PaellaVQModel(
        bottleneck_blocks=1, embed_dim=8, num_vq_embeddings=2, latent_channels=4, up_down_scale_factor=2, levels=2
    )


def _wuerstchen_scheduler() -> diffusers.DDPMWuerstchenScheduler:
    return diffusers.DDPMWuerstchenScheduler()


def _cascade(folder: Path) -> None:
    text_encoder = _clip()  # the same in both pipelines, as published
    parts = {
        "decoder": diffusers.models.StableCascadeUNet(
            in_channels=4,
            out_channels=4,
            conditioning_dim=32,
            block_out_channels=(16, 32),
            num_attention_heads=(-1, 2),
            down_num_layers_per_block=(1, 1),
            up_num_layers_per_block=(1, 1),
            down_blocks_repeat_mappers=(1, 1),
            up_blocks_repeat_mappers=(1, 1),
            block_types_per_layer=(
                ("SDCascadeResBlock", "SDCascadeTimestepBlock"),
                ("SDCascadeResBlock", "SDCascadeTimestepBlock", "SDCascadeAttnBlock"),
            ),
            clip_text_pooled_in_channels=WIDTH,
            effnet_in_channels=16,
            dropout=(0.1, 0.1),
            patch_size=2,
            timestep_conditioning_type=("sca",),
        ),
        "scheduler": _wuerstchen_scheduler(),
        "text_encoder": text_encoder,
        "tokenizer": tiny_tokenizer(),
        "vqgan": _paella_vq(),
    }
    _save(folder, "StableCascadeDecoderPipeline", parts, _CASCADE_DEFAULTS, latent_dim_scale=10.67)
    first = {
        "feature_extractor": None,
        "image_encoder": None,
        "prior": diffusers.models.StableCascadeUNet(
            in_channels=16,
            out_channels=16,
            conditioning_dim=32,
            block_out_channels=(32, 32),
            num_attention_heads=(2, 2),
            down_num_layers_per_block=(1, 1),
            up_num_layers_per_block=(1, 1),
            down_blocks_repeat_mappers=(1, 1),
            up_blocks_repeat_mappers=(1, 1),
            switch_level=(False,),
            clip_image_in_channels=WIDTH,
            clip_text_in_channels=WIDTH,
            clip_text_pooled_in_channels=WIDTH,
            dropout=(0.1, 0.1),
            timestep_conditioning_type=("sca", "crp"),
        ),
        "scheduler": _wuerstchen_scheduler(),
        "text_encoder": text_encoder,
        "tokenizer": tiny_tokenizer(),
    }
    _save(folder / "first", "StableCascadePriorPipeline", first, {}, resolution_multiple=42.67)


_CASCADE_DEFAULTS = {"native_size": 128, "size_multiple": 128, "partner": "first"}


def _wuerstchen(folder: Path) -> None:
    parts = {
        "decoder": WuerstchenDiffNeXt(
            c_cond=16,
            c_hidden=[16, 32],
            nhead=[-1, 2],
            blocks=[1, 1],
            level_config=["CT", "CTA"],
            inject_effnet=[True, True],
            effnet_embd=16,
            clip_embd=WIDTH,
            kernel_size=3,
            dropout=0.1,
        ),
        "scheduler": _wuerstchen_scheduler(),
        "text_encoder": transformers.CLIPTextModel(_clip_config()),
        "tokenizer": tiny_tokenizer(),
        "vqgan": _paella_vq(),
    }
    _save(folder, "WuerstchenDecoderPipeline", parts, _CASCADE_DEFAULTS, latent_dim_scale=10.67)
    first = {
        "prior": WuerstchenPrior(c_in=16, c=32, c_cond=WIDTH, c_r=16, depth=2, nhead=2, dropout=0.1),
        "scheduler": _wuerstchen_scheduler(),
        "text_encoder": transformers.CLIPTextModel(_clip_config()),
        "tokenizer": tiny_tokenizer(),
    }
    _save(
        folder / "first",
        "WuerstchenPriorPipeline",
        first,
        {},
        latent_mean=42.0,
        latent_std=1.0,
        resolution_multiple=42.67,
    )


def _if_scheduler(**changes: Any) -> diffusers.DDPMScheduler:
    settings = {
        "beta_schedule": "squaredcos_cap_v2",
        "thresholding": True,
        "sample_max_value": 1.0,
        "variance_type": "learned_range",
    }
    return diffusers.DDPMScheduler(**settings | changes)


def _if_unet(**more: Any) -> diffusers.UNet2DConditionModel:
    return diffusers.UNet2DConditionModel(
        out_channels=6,
        cross_attention_dim=WIDTH,
        encoder_hid_dim=WIDTH,
        addition_embed_type="text",
        addition_embed_type_num_heads=2,
        cross_attention_norm="group_norm",
        act_fn="gelu",
        **_CROSS_ATTENTION,
        **more,
    )


def _deepfloyd_if(folder: Path) -> None:
    unused = dict.fromkeys(("feature_extractor", "safety_checker", "watermarker"))
    t5 = _t5()
    parts = {"scheduler": _if_scheduler(), "unet": _if_unet(in_channels=3, sample_size=8), **t5, **unused}
    description = {"native_size": 32, "size_multiple": 32, "partner": "second"}
    _save(folder, "IFPipeline", parts, description, requires_safety_checker=True)
    second = {
        "image_noising_scheduler": _if_scheduler(),
        "scheduler": _if_scheduler(),
        "text_encoder": None,
        "tokenizer": None,
        "unet": _if_unet(in_channels=6, sample_size=32, class_embed_type="timestep"),
        **unused,
    }
    _save(folder / "second", "IFSuperResolutionPipeline", second, {}, requires_safety_checker=True)


BUILDERS: dict[Family, Callable[[Path], None]] = {
    Family.SD3: _sd3,
    Family.FLUX: _flux,
    Family.FLUX_SCHNELL: _flux_schnell,
    Family.FLUX_KONTEXT: _flux_kontext,
    Family.KANDINSKY: _kandinsky,
    Family.UNCLIP: _unclip,
    Family.CASCADE: _cascade,
    Family.WUERSTCHEN: _wuerstchen,
    Family.IF: _deepfloyd_if,
}
