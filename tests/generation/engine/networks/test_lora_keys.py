"""The names that LoRAs use for a model's layers, checked with the full networks of 1.5, 2.1 and XL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders.lora_conversion_utils import (
    _convert_non_diffusers_lora_to_diffusers,
    _maybe_map_sgm_blocks_to_diffusers,
)
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from generation.engine.networks.lora_deltas import layers_by_name
from generation.errors import UserError
from generation.models.files.lora import LoraTensor, describe_lora, parse_key, trigger_words

UNETS: dict[str, dict[str, Any]] = {
    "1.5": {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
    "2.1": {
        "sample_size": 96,
        "cross_attention_dim": 1024,
        "attention_head_dim": [5, 10, 20, 20],
        "use_linear_projection": True,
    },
    "xl": {
        "sample_size": 128,
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
# As kohya's scripts write them, with the layers' input and output widths.
KNOWN = [
    ("1.5", "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k", 768, 320),
    ("1.5", "lora_unet_mid_block_attentions_0_proj_in", 1280, 1280),
    ("1.5", "lora_unet_up_blocks_3_attentions_2_transformer_blocks_0_ff_net_0_proj", 320, 2560),
    ("1.5", "lora_unet_up_blocks_1_attentions_0_transformer_blocks_0_attn1_to_out_0", 1280, 1280),
    ("1.5", "lora_unet_down_blocks_0_downsamplers_0_conv", 320, 320),
    ("2.1", "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_v", 1024, 1280),
    ("xl", "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k", 2048, 640),
    ("xl", "lora_unet_input_blocks_7_1_transformer_blocks_9_ff_net_2", 5120, 1280),
    ("xl", "lora_unet_middle_block_1_transformer_blocks_9_ff_net_0_proj", 1280, 10240),
    ("xl", "lora_unet_output_blocks_0_1_transformer_blocks_0_attn1_to_q", 1280, 1280),
    ("xl", "lora_unet_output_blocks_5_1_proj_out", 640, 640),
    ("xl", "lora_unet_output_blocks_5_2_conv", 640, 640),
    ("xl", "lora_unet_output_blocks_8_0_skip_connection", 640, 320),
    ("xl", "lora_unet_input_blocks_3_0_op", 320, 320),
    ("xl", "lora_unet_label_emb_0_0", 2816, 1280),
    ("xl", "lora_unet_input_blocks_0_0", 4, 320),
    ("xl", "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k", 2048, 640),
]
# As those scripts report at the start of training.
COUNTED = {"1.5": 192, "2.1": 192, "xl": 722}


@pytest.fixture(scope="module")
def unets() -> dict[str, Any]:
    with torch.device("meta"):
        return {name: UNet2DConditionModel(**config) for name, config in UNETS.items()}


@pytest.mark.parametrize(("model", "name", "inputs", "outputs"), KNOWN)
def test_a_kohya_name_stands_for_the_layer_of_that_shape(
    unets: dict[str, Any], model: str, name: str, inputs: int, outputs: int
) -> None:
    part = parse_key(f"{name}.lora_down.weight")
    assert part is not None
    layer = unets[model].get_submodule(layers_by_name(unets[model])[part.layer])
    assert layer.weight.shape[:2] == (outputs, inputs)


@pytest.mark.parametrize("model", COUNTED)
def test_all_layers_of_the_attention_blocks_have_a_name(unets: dict[str, Any], model: str) -> None:
    names = layers_by_name(unets[model])
    assert len({path for path in names.values() if "attentions" in path}) == COUNTED[model]


@pytest.mark.parametrize("model", UNETS)
def test_no_two_layers_share_a_name(unets: dict[str, Any], model: str) -> None:
    unet = unets[model]
    names, layers = layers_by_name(unet), [path for path, layer in unet.named_modules() if hasattr(layer, "weight")]
    for path in names.values():
        assert names[path.replace(".", "_")] == path
    assert set(names.values()) <= set(layers)


def test_each_ldm_name_stands_for_the_same_layer_as_in_diffusers(unets: dict[str, Any]) -> None:
    names = layers_by_name(unets["xl"])
    old = {name: path for name, path in names.items() if name != path.replace(".", "_")}
    assert len(old) == len(names) / 2
    for name, path in old.items():
        keys = {f"lora_unet_{name}.{kind}": torch.ones(()) for kind in ("lora_down.weight", "lora_up.weight", "alpha")}
        theirs, _ = _convert_non_diffusers_lora_to_diffusers(
            _maybe_map_sgm_blocks_to_diffusers(keys, unets["xl"].config)
        )
        assert {names[part.layer] for part in map(parse_key, theirs) if part} == {path}


def test_a_text_encoders_layers_are_found_in_every_layout() -> None:
    with torch.device("meta"):
        encoder = CLIPTextModel(CLIPTextConfig(hidden_size=768, num_hidden_layers=12, num_attention_heads=12))
    names = layers_by_name(encoder)
    assert len(names) == 72
    for key in (
        "lora_te_text_model_encoder_layers_11_mlp_fc1.lora_down.weight",
        "lora_te1_text_model_encoder_layers_11_mlp_fc1.alpha",
        "text_encoder.text_model.encoder.layers.11.mlp.fc1.lora_A.weight",
        "text_encoder.encoder.layers.11.mlp.fc1.lora_linear_layer.up.weight",
    ):
        part = parse_key(key)
        assert part is not None
        assert encoder.get_submodule(names[part.layer]).weight.shape == (2048, 768)


LAYER = "down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_"


@pytest.mark.parametrize(
    ("key", "part"),
    [
        (f"lora_unet_{LAYER}k.lora_down.weight", LoraTensor("unet", f"{LAYER}k", "down")),
        (f"lora_unet_{LAYER}k.alpha", LoraTensor("unet", f"{LAYER}k", "alpha")),
        (
            "lora_unet_input_blocks_4_0_in_layers_2.lora_mid.weight",
            LoraTensor("unet", "input_blocks_4_0_in_layers_2", "mid"),
        ),
        (
            "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_out.0.lora_B.weight",
            LoraTensor("unet", f"{LAYER}out_0", "up"),
        ),
        (
            "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.default.weight",
            LoraTensor("unet", f"{LAYER}k", "down"),
        ),
        (
            "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.lora.up.weight",
            LoraTensor("unet", f"{LAYER}k", "up"),
        ),
        (
            "down_blocks.0.attentions.0.transformer_blocks.0.attn2.processor.to_out_lora.down.weight",
            LoraTensor("unet", f"{LAYER}out_0", "down"),
        ),
        (
            "text_encoder.text_model.encoder.layers.3.self_attn.to_out_lora.up.weight",
            LoraTensor("text_encoder", "encoder_layers_3_self_attn_out_proj", "up"),
        ),
        (
            "text_encoder_2.text_model.encoder.layers.3.self_attn.q_proj.lora_A.weight",
            LoraTensor("text_encoder_2", "encoder_layers_3_self_attn_q_proj", "down"),
        ),
        (
            "lora_te2_text_model_encoder_layers_3_mlp_fc2.lora_up.weight",
            LoraTensor("text_encoder_2", "encoder_layers_3_mlp_fc2", "up"),
        ),
        (
            "diffusion_model.input_blocks.4.1.proj_in.lora_A.weight",
            LoraTensor("unet", "input_blocks_4_1_proj_in", "down"),
        ),
        (
            "base_model.model.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight",
            LoraTensor("unet", f"{LAYER}k", "down"),
        ),
        (
            "base_model.model.text_model.encoder.layers.3.mlp.fc1.lora_B.weight",
            LoraTensor("text_encoder", "encoder_layers_3_mlp_fc1", "up"),
        ),
        (
            "text_encoders.clip_g.transformer.text_model.encoder.layers.3.mlp.fc1.lora_up.weight",
            LoraTensor("text_encoder_2", "encoder_layers_3_mlp_fc1", "up"),
        ),
        (
            "text_encoders.clip_h.transformer.text_model.encoder.layers.3.mlp.fc1.alpha",
            LoraTensor("text_encoder", "encoder_layers_3_mlp_fc1", "alpha"),
        ),
        (f"lycoris_{LAYER}k.lora_down.weight", LoraTensor("unet", f"{LAYER}k", "down")),
        ("lycoris_mid_block_attentions_0_proj_in.alpha", LoraTensor("unet", "mid_block_attentions_0_proj_in", "alpha")),
        ("lora_unet_time_embedding_linear_1.lora_up.weight", LoraTensor("unet", "time_embedding_linear_1", "up")),
        (
            "unet.mid_block.attentions.0.proj_in.lora_A.ink-2.weight",
            LoraTensor("unet", "mid_block_attentions_0_proj_in", "down"),
        ),
        ("transformer.blocks.0.lora_A.weight", None),
        ("unet.conv_in.weight", None),
        ("emb_params", None),
    ],
)
def test_a_tensors_key_is_parsed_in_every_layout(key: str, part: LoraTensor | None) -> None:
    assert parse_key(key) == part


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("lora_unet_mid_block_attentions_0_proj_in.hada_w1_a", "is a LoHa adapter: only plain LoRA"),
        ("lora_unet_mid_block_attentions_0_proj_in.lokr_w1", "is a LoKr"),
        ("lora_unet_mid_block_attentions_0_proj_in.dora_scale", "is a DoRA"),
        ("lora_unet_mid_block_attentions_0_proj_in.diff", "is a full difference"),
        ("lora_unet_mid_block_attentions_0_norm.w_norm", "with normalisation layers"),
        ("lora_unet_mid_block_attentions_0_norm.b_norm", "with normalisation layers"),
        ("lora_unet_mid_block_attentions_0_proj_in.scalar", "with scalars"),
        ("lora_unet_mid_block_attentions_0_proj_in.magnitude", "is a DoRA"),
        ("unet.mid_block.attentions.0.proj_in.lora_magnitude_vector", "is a DoRA"),
        ("unet.mid_block.attentions.0.proj_in.lora_magnitude_vector.default.weight", "is a DoRA"),
        ("lora_unet_mid_block_attentions_0_proj_in.a1.weight", "is a GLoRA"),
        ("lora_unet_mid_block_attentions_0_proj_in.b2.weight", "is a GLoRA"),
        ("diffusion_model.input_blocks.1.0.in_layers.2.diff_b", "is a full difference"),
        ("unet.mid_block.attentions.0.proj_in.lora_B.bias", "with biases"),
        ("down_blocks.0.motion_modules.0.temporal_transformer.lora_A.weight", "is a motion"),
        ("transformer.blocks.0.attn.lora_A.weight", "for a model other than Stable Diffusion"),
        ("transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight", "for a model other than Stable Diffusion"),
        ("double_blocks.0.processor.qkv_lora1.down.weight", "for a model other than Stable Diffusion"),
        ("lora_transformer_double_blocks_0_img_attn.lora_down.weight", "for a model other than Stable Diffusion"),
        ("diffusion_model.layers.0.attention.to_q.lora_A.weight", "for a model other than Stable Diffusion"),
        ("lora_te3_encoder_block_0_layer_0_q.lora_down.weight", "for a model other than Stable Diffusion"),
        ("model.diffusion_model.out.2.weight", "is a UNet alone, not a LoRA"),
        ("unet:0:up", "not a LoRA in kohya's or diffusers' layout: the key unet:0:up is unknown"),
        ("emb_params", "is an embedding, not a LoRA: put it into the folder for embeddings"),
        ("conv_first.weight", "is an upscaler, not a LoRA: name it in UPSCALER"),
        ("image_proj.proj.weight", "is an IP-Adapter, not a LoRA"),
        ("lora_controlnet", "is a ControlNet"),
        ("decoder.conv_in.weight", "is a VAE alone, not a LoRA"),
        ("lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight", "for a model other than Stable Diffusion"),
        ("lora_unet_mid_block_attentions_0_proj_in.lora_down.weight", "damaged"),
    ],
)
def test_an_unsupported_file_is_refused_by_its_header(tmp_path: Path, key: str, message: str) -> None:
    save_file({key: torch.ones(2, 8)}, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match=rf"x\.safetensors.*{message}"):
        describe_lora(tmp_path / "x.safetensors", "x")


@pytest.mark.parametrize(
    ("notes", "words"),
    [
        ({}, ""),
        ({"modelspec.trigger_phrase": "ink wash"}, "ink wash"),
        ({"ss_tag_frequency": '{"10_ink": {"ink wash": 40, "fox": 3}, "5_more": {"ink wash": 2}}'}, "ink wash"),
        ({"ss_tag_frequency": '{"10_ink": {"a": 1, "b": 1}}'}, ""),
        ({"ss_tag_frequency": "no json"}, ""),
        ({"ss_tag_frequency": '["a"]'}, ""),
    ],
)
def test_trigger_words_come_from_the_author_or_from_tags_of_all_captions(notes: dict[str, str], words: str) -> None:
    assert trigger_words(notes) == words
