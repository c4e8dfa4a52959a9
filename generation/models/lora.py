"""Describe LoRA files by their headers, without torch."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from generation.errors import UserError
from generation.models.safetensors_header import SafetensorsHeader, read_header

MAX_TRIGGER_WORDS = 3
NETWORKS = ("unet", "text_encoder", "text_encoder_2")

# kohya's, then diffusers' names for the networks; the oldest files have UNet keys only, without a prefix.
_PREFIX = re.compile(
    r"(?:lora_(?P<kohya>unet|te1|te2|te)_|(?P<dotted>unet|text_encoder_2|text_encoder|diffusion_model)\."
    r"|(?=(?:down_blocks|mid_block|up_blocks)\.))"
)
_NETWORK_BY_PREFIX = {"te": "text_encoder", "te1": "text_encoder", "te2": "text_encoder_2", "diffusion_model": "unet"}
_ROLE = re.compile(r"[._]lora(?:_linear_layer)?[._](down|up|mid|A|B)(?:\.default(?:_\d+)?)?\.weight$|\.(alpha)$")
_ROLE_ALIASES = {"A": "down", "B": "up"}
_UNET_MODULE = re.compile(
    r"(?:(?:down|up|input|output)_blocks|mid(?:dle)?_block|time_embed|label_emb|add_embedding|conv_in|conv_out|out)_"
)
# The old attention processors used other names for the layers.
_LEGACY_LAYERS = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}
_LEGACY_LAYER = re.compile(r"to_(?:q|k|v|out)$")
_UNSUPPORTED_ADAPTERS = {
    "hada_w": "LoHa",
    "lokr_": "LoKr",
    "oft_": "OFT",
    "dora_scale": "DoRA",
    "magnitude_vector": "DoRA",
    r"\.on_input$": "IA3",
    r"\.diff(?:_b)?$": "full difference",
}


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
    prefix_name = prefix["kohya"] or prefix["dotted"] or "unet"
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
    try:
        header = read_header(path)
        tensors = {key: _parse_supported_key(path, key) for key in header.shapes}
        _check_ranks(path, header, tensors)
        width = next((header.shapes[key][1] for key, part in tensors.items() if _is_cross_attention_down(part)), None)
        return Lora(name, path, width, trigger_words(header.metadata))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OSError) as error:
        raise UserError(f"{path} is damaged or not a safetensors file.") from error


def _parse_supported_key(path: Path, key: str) -> LoraTensor:
    if kind := next((kind for mark, kind in _UNSUPPORTED_ADAPTERS.items() if re.search(mark, key)), None):
        raise UserError(f"{path} is a {kind} adapter: only plain LoRA and LoCon files are supported.")
    if (part := parse_key(key)) is None:
        raise UserError(f"{path} is not a LoRA in kohya's or diffusers' layout: the key {key} is unknown.")
    if part.network == "unet" and not _UNET_MODULE.match(f"{part.layer}_"):
        raise UserError(f"{path} is a LoRA for a model other than Stable Diffusion 1.x, 2.x or XL.")
    return part


def _check_ranks(path: Path, header: SafetensorsHeader, tensors: dict[str, LoraTensor]) -> None:
    """Check that every layer has both matrices and that their ranks match."""
    shapes = {part: header.shapes[key] for key, part in tensors.items()}
    if not shapes:
        raise UserError(f"{path} is empty.")
    for network, layer in {(part.network, part.layer) for part in shapes}:
        down, up = shapes[LoraTensor(network, layer, "down")], shapes[LoraTensor(network, layer, "up")]
        middle = shapes.get(LoraTensor(network, layer, "mid"), (up[1], down[0]))
        if middle[:2] != (up[1], down[0]):
            raise ValueError(f"ranks in {layer}")


def _is_cross_attention_down(part: LoraTensor) -> bool:
    return part.role == "down" and part.network == "unet" and part.layer.endswith(("attn2_to_k", "attn2_to_v"))


def trigger_words(metadata: dict[str, str]) -> str:
    """Return the words that activate a LoRA: those in its metadata, else its most frequent caption tags."""
    if phrase := metadata.get("modelspec.trigger_phrase", "").strip():
        return phrase
    try:
        folders = json.loads(metadata.get("ss_tag_frequency") or "{}")
        tags: Counter[str] = Counter()
        for counted in folders.values():
            tags.update({str(tag).strip(): int(count) for tag, count in counted.items()})
    except (ValueError, TypeError, AttributeError):
        return ""
    most = max(tags.values(), default=0)
    always = [tag for tag, count in tags.items() if tag and count == most > 1]
    return ", ".join(always[:MAX_TRIGGER_WORDS])


def metadata_alphas(metadata: dict[str, str]) -> Callable[[LoraTensor], float | None]:
    """Return a function for the alpha of layers without one, from the peft settings in diffusers' metadata."""
    try:
        settings: dict[str, Any] = json.loads(metadata.get("lora_adapter_metadata") or "{}")
    except ValueError:
        settings = {}

    def alpha(part: LoraTensor) -> float | None:
        patterns = settings.get(f"{part.network}.alpha_pattern") or {}
        special = (
            value for name, value in patterns.items() if part.layer.endswith(_strip_text_model(name.replace(".", "_")))
        )
        value = next(special, settings.get(f"{part.network}.lora_alpha"))
        return float(value) if value is not None else None

    return alpha
