"""Check the types of what the JSON files of a model say, as diffusers and transformers take them for granted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from generation.models.files.errors import ModelFileError
from generation.models.files.json_files import read_json

FIX_CONFIG = "Correct this value, or download the file again."
MAX_SHOWN = 60  # characters of a wrong value


class _Kind(NamedTuple):
    name: str
    matches: Callable[[Any], bool]


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_integer(value) or isinstance(value, float)


def _is_list(value: Any, matches: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(each is None or matches(each) or _is_list(each, matches) for each in value)


def _or_list(kind: _Kind) -> _Kind:
    return _Kind(f"{kind.name} or a list", lambda value: kind.matches(value) or _is_list(value, kind.matches))


def _list(kind: _Kind) -> _Kind:
    return _Kind("a list", lambda value: _is_list(value, kind.matches))


_INTEGER = _Kind("a whole number", lambda value: _is_integer(value) and value >= 0)
_NUMBER = _Kind("a number", _is_number)
_BOOL = _Kind("true or false", lambda value: isinstance(value, bool))
_TEXT = _Kind("a text", lambda value: isinstance(value, str))
_OBJECT = _Kind("an object", lambda value: isinstance(value, dict))
_PAIR = _Kind("a list of a library and a class", lambda value: _is_list(value, _TEXT.matches) and len(value) == 2)

# By key, whichever part it belongs to. `null` stands for the default, except where there is none.
_KEYS = {
    _INTEGER: "in_channels out_channels latent_channels norm_num_groups conv_in_kernel conv_out_kernel"
    " time_embedding_dim time_cond_proj_dim addition_time_embed_dim projection_class_embeddings_input_dim"
    " encoder_hid_dim addition_embed_type_num_heads hidden_size intermediate_size num_hidden_layers"
    " max_position_embeddings vocab_size projection_dim num_train_timesteps steps_offset solver_order d_model d_kv"
    " d_ff num_single_layers joint_attention_dim pooled_projection_dim caption_channels r",
    _or_list(_INTEGER): "sample_size layers_per_block cross_attention_dim transformer_layers_per_block"
    " attention_head_dim num_attention_heads num_layers patch_size",
    _NUMBER: "freq_shift mid_block_scale_factor norm_eps layer_norm_eps initializer_factor initializer_range"
    " beta_start beta_end scaling_factor shift_factor sigma_min sigma_max sigma_data dynamic_thresholding_ratio"
    " sample_max_value clip_sample_range model_max_length lora_alpha attention_dropout",
    _or_list(_NUMBER): "dropout",
    _BOOL: "flip_sin_to_cos center_input_sample dual_cross_attention use_linear_projection upcast_attention"
    " force_upcast clip_sample set_alpha_to_one rescale_betas_zero_snr thresholding skip_prk_steps use_karras_sigmas"
    " use_exponential_sigmas use_beta_sigmas use_flow_sigmas lower_order_final use_quant_conv use_post_quant_conv"
    " guidance_embeds use_rslora use_dora do_lower_case",
    _or_list(_BOOL): "only_cross_attention",
    _list(_TEXT): "down_block_types up_block_types",
    _list(_INTEGER): "block_out_channels",
    _list(_NUMBER): "trained_betas",
    _TEXT: "act_fn hidden_act beta_schedule prediction_type timestep_spacing algorithm_type solver_type variance_type"
    " mid_block_type addition_embed_type encoder_hid_dim_type time_embedding_type resnet_time_scale_shift"
    " _class_name model_type tokenizer_class",
    _OBJECT: "weight_map alpha_pattern rank_pattern",
}
_KINDS: Mapping[str, _Kind] = {key: kind for kind, keys in _KEYS.items() for key in keys.split()}
_REQUIRED = (
    "in_channels latent_channels layers_per_block cross_attention_dim block_out_channels down_block_types"
    " up_block_types hidden_size intermediate_size num_hidden_layers max_position_embeddings"
    " vocab_size num_train_timesteps beta_start beta_end beta_schedule act_fn hidden_act weight_map"
)
_WITHOUT_DEFAULT = frozenset(_REQUIRED.split())


def read_config(path: Path) -> dict[str, Any]:
    """Return the object in the JSON file of a model's part; raise ModelFileError if a value has another type."""
    values = read_json(path)
    require_types(path, values)
    return values


def require_types(path: Path, values: Mapping[str, Any]) -> None:
    """Raise ModelFileError if a value of the file at `path` has another type; a key may have its part in front."""
    for key, value in values.items():
        if kind := _KINDS.get(key.rpartition(".")[2]):
            _require(path, key, value, kind)


def read_index(path: Path) -> dict[str, Any]:
    """Return a pipeline's `model_index.json`, whose lists name the library and the class of each part."""
    values = read_config(path)
    for key, value in values.items():
        if isinstance(value, list):
            _require(path, key, value, _PAIR)
    return values


def _require(path: Path, key: str, value: Any, kind: _Kind) -> None:
    if not (kind.matches(value) or (value is None and key not in _WITHOUT_DEFAULT)):
        shown = json.dumps(value)
        shown = shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}…"
        raise ModelFileError(f"{path} is damaged: `{key}` must be {kind.name}, not {shown}", FIX_CONFIG)
