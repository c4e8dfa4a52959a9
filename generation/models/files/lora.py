"""Describe LoRA files by their headers, without torch."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from generation.errors import UserError
from generation.models.files.checkpoint import describe_contents
from generation.models.files.config_types import read_config, require_types
from generation.models.files.errors import report_damage
from generation.models.files.json_files import parse_object
from generation.models.files.safetensors_header import SafetensorsHeader, read_header, require_plain_weights
from generation.models.files.weight_values import require_numbers

MAX_TRIGGER_WORDS = 3
NETWORKS = ("unet", "text_encoder", "text_encoder_2")

# The names of the networks: kohya's and LyCORIS', ComfyUI's, diffusers'; peft may add a prefix to all of them. Files of
# a single network do not name it: the layer tells which it is.
_PREFIX = re.compile(
    r"(?:base_model\.model\.)?"
    r"(?:lora_(?P<kohya>unet|te1|te2|te)_"
    r"|(?:text_encoders\.)?(?P<comfy>clip_[lhg])\.(?:transformer\.)?"
    r"|(?:model\.)?(?P<dotted>unet|text_encoder_2|text_encoder|diffusion_model)\."
    r"|(?:lycoris_)?(?=(?:text_model[._])?encoder[._]layers[._])(?P<text>)"
    r"|(?:lycoris_)?(?=(?:(?:down|mid|up)_blocks?|conv_in|conv_out|time_embedding|add_embedding)[._]))"
)
_NETWORK_BY_PREFIX = {
    "te": "text_encoder",
    "te1": "text_encoder",
    "te2": "text_encoder_2",
    "clip_l": "text_encoder",
    "clip_h": "text_encoder",
    "clip_g": "text_encoder_2",
    "diffusion_model": "unet",
}
_ROLE = re.compile(r"[._]lora(?:_linear_layer)?[._](down|up|mid|A|B)(?:\.(?!weight$)[\w-]+)?\.weight$|\.(alpha)$")
_ROLE_ALIASES = {"A": "down", "B": "up"}
_ANY_LORA = re.compile(r"lora\d*[._](?:down|up|A|B)\b")
_UNET_MODULE = re.compile(
    r"(?:(?:down|up|input|output)_blocks|mid(?:dle)?_block|time_embed(?:ding)?|label_emb|add_embedding"
    r"|conv_in|conv_out|out)_"
)
# The old attention processors used other names for the layers.
_LEGACY_LAYERS = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}
_LEGACY_LAYER = re.compile(r"to_(?:q|k|v|out)$")
_UNSUPPORTED_ADAPTERS = {
    r"hada_": "LoHa",
    r"lokr_": "LoKr",
    r"oft_": "OFT",
    r"dora_scale|magnitude_vector|\.magnitude$": "DoRA",
    r"\.[wb]_norm$": "LyCORIS (with normalisation layers)",
    r"\.scalar$": "LyCORIS (with scalars)",
    r"\.[ab][12]\.weight$|glora_": "GLoRA",
    r"\.on_input$|\.ia3_l": "IA3",
    r"\.diff(?:_b)?$|\.set_weight$": "full difference",
    r"vera_lambda": "VeRA",
    r"lora_embedding_": "LoRA (with embedding layers)",
    r"lora_[AB](?:\.[\w-]+)?\.bias$": "LoRA (with biases)",
    r"motion_modules": "motion (AnimateDiff)",
    r"lora_controlnet": "ControlNet",
}
_BUNDLED = re.compile(r"bundle_emb\.(?P<name>.+)\.(?P<part>string_to_param\.\*|emb_params|clip_l|clip_g)$")
_BUNDLE, _PEFT = "bundle_emb.", "base_model.model."
# Ways of training that move a part of the model's own weights into the LoRA.
_CHANGED_BASE = ("pissa", "olora", "corda", "loftq")


@dataclass(frozen=True, slots=True)
class Lora:
    """A LoRA file; `cross_attention_dim` is the width of its model's text embeddings, None if the keys do not show it.

    `trigger_words` activate the LoRA, according to its metadata.
    """

    name: str
    path: Path
    cross_attention_dim: int | None = None
    trigger_words: str = ""


class LoraTensor(NamedTuple):
    """The meaning of a LoRA tensor: its `role` (down, up, mid or alpha) in a layer, with `_` for dots in its name."""

    network: str
    layer: str
    role: str


def parse_key(key: str) -> LoraTensor | None:
    """Parse a tensor's name as written by kohya's scripts, diffusers and peft; return None for any other."""
    prefix, role = _PREFIX.match(key), _ROLE.search(key)
    if prefix is None or role is None:
        return None
    prefix_name = prefix["kohya"] or prefix["comfy"] or prefix["dotted"] or ("unet" if prefix["text"] is None else "te")
    network = _NETWORK_BY_PREFIX.get(prefix_name, prefix_name)
    layer = key[prefix.end() : role.start()].replace(".", "_")
    is_legacy = re.search(r"_lora\.(?:down|up)\.weight$", key) is not None
    return LoraTensor(
        network,
        _normalize_legacy_layer(layer, network) if is_legacy else _strip_text_model(layer),
        _ROLE_ALIASES.get(role[1], role[1] or role[2]),
    )


def _normalize_legacy_layer(layer: str, network: str) -> str:
    if network == "unet":
        layer = layer.replace("_processor_", "_")
        return f"{layer}_0" if layer.endswith("_to_out") else layer
    return _LEGACY_LAYER.sub(lambda old: _LEGACY_LAYERS[old[0]], _strip_text_model(layer))


def _strip_text_model(layer: str) -> str:
    """Remove the prefix of the text encoder's layers, which only some releases of transformers have."""
    return layer.removeprefix("text_model_")


def describe_lora(path: Path, name: str) -> Lora:
    """Describe the LoRA in the file at `path`; raise UserError if it is not a supported LoRA."""
    header = read_header(path)
    with report_damage(path):
        keys = [key for key in header.shapes if not key.startswith(_BUNDLE)]
        tensors = {key: _parse_supported_key(path, key, header) for key in keys}
        require_plain_weights(path, header)
        _check_shapes(path, header, tensors)
        _check_settings(path, header, tensors)
        require_numbers(path, header, tensors)
        width = next((header.shapes[key][1] for key, part in tensors.items() if _is_cross_attention_down(part)), None)
        return Lora(name, path, width, trigger_words(header.metadata))


def bundled_embeddings(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the keys of the embeddings that a LoRA's file holds beside it, by their words."""
    keys: dict[str, list[str]] = {}
    for key in sorted(read_header(path).shapes, reverse=True):  # `clip_l` is the first encoder, before `clip_g`
        if match := _BUNDLED.fullmatch(key):
            keys.setdefault(match["name"], []).append(key)
    return {name: tuple(each) for name, each in keys.items()}


def _parse_supported_key(path: Path, key: str, header: SafetensorsHeader) -> LoraTensor:
    if kind := next((kind for mark, kind in _UNSUPPORTED_ADAPTERS.items() if re.search(mark, key)), None):
        if any(map(_is_for_another_model, header.shapes)):  # a plain version would not help
            raise _for_another_model(path)
        raise UserError(f"{path} is a {kind} adapter: only plain LoRA and LoCon files are supported.")
    part = parse_key(key)
    if part is None and not _ANY_LORA.search(key):
        other = describe_contents(header.shapes, "a LoRA")
        unknown = f"is not a LoRA in kohya's or diffusers' layout: the key {key} is unknown."
        raise UserError(f"{path} {other or unknown}")
    if part is None or not _is_known_module(part):
        raise _for_another_model(path)
    return part


def _is_known_module(part: LoraTensor) -> bool:
    return part.network != "unet" or _UNET_MODULE.match(f"{part.layer}_") is not None


def _is_for_another_model(key: str) -> bool:
    """Return whether a key is one of a LoRA's matrices, for a layer that Stable Diffusion's networks lack."""
    part = parse_key(key)
    return bool(_ANY_LORA.search(key) and _ROLE.search(key)) and (part is None or not _is_known_module(part))


def _for_another_model(path: Path) -> UserError:
    return UserError(f"{path} is a LoRA for a model other than Stable Diffusion 1.x, 2.x or XL.")


def _check_shapes(path: Path, header: SafetensorsHeader, tensors: dict[str, LoraTensor]) -> None:
    """Check that every layer has both matrices, once, and that their ranks match."""
    shapes = {part: header.shapes[key] for key, part in tensors.items()}
    if all(part.role == "alpha" for part in shapes):
        raise UserError(f"{path} is empty.")
    if len(shapes) < len(tensors):
        raise UserError(f"{path} has more than one LoRA for the same layers: save them as separate files.")
    for network, layer in {(part.network, part.layer) for part in shapes if part.role != "alpha"}:  # or it is unused
        down, up, middle, alpha = (
            shapes.get(LoraTensor(network, layer, role)) for role in ("down", "up", "mid", "alpha")
        )
        if down is None or up is None:
            raise UserError(f"{path} is damaged: it lacks one of the two matrices of {layer}.")
        if not _ranks_match(down, up, middle) or math.prod(alpha or ()) != 1:
            raise UserError(f"{path} is damaged: the shapes of the matrices of {layer} do not match.")


def _ranks_match(down: tuple[int, ...], up: tuple[int, ...], middle: tuple[int, ...] | None) -> bool:
    if len(down) not in (2, 4) or len(up) not in (2, 4) or math.prod(up[2:]) != 1 or 0 in (*down, *up):
        return False
    if middle is not None:
        return len(middle) == 4 and middle[:2] == (up[1], down[0])
    return up[1] == down[0]


def _check_settings(path: Path, header: SafetensorsHeader, tensors: dict[str, LoraTensor]) -> None:
    """Raise UserError where peft's settings ask for more than the matrices, or have no readable alpha."""
    settings = peft_settings(path, header)
    for network in sorted({part.network for part in tensors.values()}):
        if settings.get(f"{network}.use_dora"):
            raise UserError(f"{path} is a DoRA adapter: only plain LoRA and LoCon files are supported.")
        start = settings.get(f"{network}.init_lora_weights")
        if str(start).startswith(_CHANGED_BASE):
            raise UserError(
                f"{path} was trained by {start}, which changes the model itself: convert it to a plain LoRA."
            )
    for key, part in tensors.items():
        if part.role == "down":
            effective_alpha(settings, part, header.shapes[key][0])


def _is_cross_attention_down(part: LoraTensor) -> bool:
    return part.role == "down" and part.network == "unet" and part.layer.endswith(("attn2_to_k", "attn2_to_v"))


def trigger_words(metadata: dict[str, str]) -> str:
    """Return the words that activate a LoRA: those in its metadata, else its most frequent caption tags."""
    if phrase := metadata.get("modelspec.trigger_phrase", "").strip():
        return phrase
    tags: Counter[str] = Counter()
    for counted in parse_object(metadata.get("ss_tag_frequency")).values():
        for tag, count in counted.items() if isinstance(counted, dict) else ():
            tags[tag.strip()] += count if isinstance(count, int) else 0
    most = max(tags.values(), default=0)
    always = [tag for tag, count in tags.items() if tag and count == most > 1]
    return ", ".join(always[:MAX_TRIGGER_WORDS])


def peft_settings(path: Path, header: SafetensorsHeader) -> dict[str, Any]:
    """Return peft's settings as `network.name`: diffusers writes them into the file, peft itself beside it."""
    noted = parse_object(header.metadata.get("lora_adapter_metadata"))
    require_types(path, noted)
    if not any(key.startswith(_PEFT) for key in header.shapes):
        return noted
    beside = read_config(path.with_name("adapter_config.json"))
    return {f"{network}.{name}": value for network in NETWORKS for name, value in beside.items()} | noted


def effective_alpha(settings: Mapping[str, Any], part: LoraTensor, rank: int) -> float:
    """Return the alpha of a layer that has none of its own: by peft's settings, else its rank.

    A rank-stabilised LoRA is scaled by alpha/√rank; its alpha is returned as if it were scaled by alpha/rank.
    """
    patterns = settings.get(f"{part.network}.alpha_pattern") or {}
    special = (
        value for name, value in patterns.items() if part.layer.endswith(_strip_text_model(name.replace(".", "_")))
    )
    value = next(special, settings.get(f"{part.network}.lora_alpha"))
    if value is None:
        return float(rank)
    alpha = float(value) * (math.sqrt(rank) if settings.get(f"{part.network}.use_rslora") else 1)
    if not math.isfinite(alpha):
        raise ValueError(f"alpha {value}")
    return alpha
